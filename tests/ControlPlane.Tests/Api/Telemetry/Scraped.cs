using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api.Telemetry;

/// <summary>A sample of a scrape.</summary>
internal sealed record Sample(string Name, ImmutableSortedDictionary<string, string> Labels, double Value);

/// <summary>
/// What a strict reader of Prometheus' text format makes of an answer: whatever it would not take fails the test that reads it.
/// </summary>
internal sealed partial class Scraped
{
    public Dictionary<string, string> Types { get; } = new(StringComparer.Ordinal);

    public List<Sample> Samples { get; } = [];

    public static Scraped Parse(string text)
    {
        var scraped = new Scraped();
        string? help = null, open = null;
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        foreach (string line in text[..^1].Split('\n'))
        {
            if (Help().Match(line) is { Success: true } words)
            {
                help = words.Groups[1].Value;
            }
            else if (Type().Match(line) is { Success: true } type)
            {
                open = type.Groups[1].Value;
                Assert.Equal(help, open);
                Assert.True(scraped.Types.TryAdd(open, type.Groups[2].Value), $"{open} is told in two places");
                Assert.Equal(scraped.Types[open] == "counter", open.EndsWith("_total", StringComparison.Ordinal));
            }
            else
            {
                scraped.Take(line, open);
            }
        }

        Assert.Equal(scraped.Samples.Count, scraped.Samples.Select(s => $"{s.Name} {string.Join(',', s.Labels)}").Distinct().Count());
        scraped.CheckHistograms();
        return scraped;
    }

    public IEnumerable<Sample> Of(string name) => Samples.Where(s => s.Name == name);

    /// <summary>A histogram is known by the names of its parts too.</summary>
    public bool Knows(string name) => Types.ContainsKey(name)
        || (Part().Match(name) is { Success: true } part && Types.GetValueOrDefault(part.Groups[1].Value) == "histogram");

    private void Take(string line, string? open)
    {
        var match = Line().Match(line);
        Assert.True(match.Success, $"no sample: {line}");
        string name = match.Groups[1].Value;
        bool histogram = open is not null && Types[open] == "histogram";
        Assert.True(histogram ? Part().Match(name).Groups[1].Value == open : name == open, $"{name} stands under {open}");
        var labels = Label().Matches(match.Groups[2].Value)
            .ToImmutableSortedDictionary(m => m.Groups[1].Value, m => m.Groups[2].Value, StringComparer.Ordinal);
        Samples.Add(new Sample(name, labels, match.Groups[3].Value switch
        {
            "+Inf" => double.PositiveInfinity,
            "-Inf" => double.NegativeInfinity,
            var number => double.Parse(number, CultureInfo.InvariantCulture),
        }));
    }

    private void CheckHistograms()
    {
        foreach (string name in Types.Where(t => t.Value == "histogram").Select(t => t.Key))
        {
            foreach (var buckets in Of($"{name}_bucket").GroupBy(b => string.Join(',', b.Labels.Remove("le"))))
            {
                Assert.Equal(buckets.Select(b => b.Value).Order(), buckets.Select(b => b.Value));
                Assert.Equal("+Inf", buckets.Last().Labels["le"]);
                Assert.Equal(buckets.Last().Value, Of($"{name}_count").Single(c => string.Join(',', c.Labels) == buckets.Key).Value);
                Assert.Single(Of($"{name}_sum"), s => string.Join(',', s.Labels) == buckets.Key);
            }
        }
    }

    [GeneratedRegex(@"^# HELP ([a-z_][a-z0-9_]*) [^\n]+\z")]
    private static partial Regex Help();

    [GeneratedRegex(@"^# TYPE ([a-z_][a-z0-9_]*) (gauge|counter|histogram)\z")]
    private static partial Regex Type();

    // A name, its labels in braces, a number.
    [GeneratedRegex(@"^([a-z_][a-z0-9_]*)"
        + @"(?:\{((?:[a-z_][a-z0-9_]*=""(?:[^""\\\n]|\\[\\""n])*"",?)+)\})? "
        + @"(NaN|[+-]Inf|-?[0-9.]+(?:E[+-]?\d+)?)\z")]
    private static partial Regex Line();

    [GeneratedRegex(@"([a-z_][a-z0-9_]*)=""((?:[^""\\]|\\.)*)""")]
    private static partial Regex Label();

    [GeneratedRegex(@"^(\w+)_(?:bucket|sum|count)\z")]
    private static partial Regex Part();
}
