using System.Text.RegularExpressions;
using Xunit;

namespace DeepSeekOps.Repo.Tests;

/// <summary>What the dashboard's components may do where the compiler says nothing.</summary>
public sealed partial class PageTests
{
    /// <summary>
    /// A part that reads the query too changes the set of its readers while it is mounted by a change of the address, and ends the circuit
    /// (dotnet/aspnetcore#57746). The page reads it and hands the values down.
    /// </summary>
    [Fact]
    public void Only_a_page_reads_the_query()
    {
        string[] readers =
            [.. DashboardFiles().Where(f => Repository.Read(f).Contains("SupplyParameterFromQuery", StringComparison.Ordinal))];
        Assert.NotEmpty(readers);
        Assert.DoesNotContain(readers, f => !IsPage(f));
    }

    [Fact]
    public void No_page_is_a_part_of_another_component()
    {
        string[] pages = [.. DashboardFiles().Where(f => f.EndsWith(".razor", StringComparison.Ordinal) && IsPage(f)).Select(Component)];
        string[] nested =
            [.. DashboardFiles()
                .SelectMany(
                f => Tag().Matches(Repository.Read(f)).Where(t => pages.Contains(t.Groups[1].Value)).Select(t => $"{f}: {t.Value}"))];
        Assert.Empty(nested);
    }

    /// <summary>On a phone they scroll sideways: who has no finger for it needs them to take the focus and to have a name.</summary>
    [Fact]
    public void What_scrolls_can_be_reached_by_keyboard_and_has_a_name()
    {
        var scrolling = DashboardFiles().Where(f => f.EndsWith(".razor", StringComparison.Ordinal))
            .SelectMany(f => Scrolling().Matches(Repository.Read(f)).Select(t => (File: f, Tag: t.Value))).ToList();
        Assert.True(scrolling.Count >= 8, $"only {scrolling.Count} were found");
        Assert.DoesNotContain(scrolling, s => !s.Tag.Contains("tabindex=\"0\"", StringComparison.Ordinal)
            || !s.Tag.Contains("aria-label=", StringComparison.Ordinal));
    }

    /// <summary>
    /// Blazor takes what was typed for known in a bound field alone. In one with a value and an event it writes the older text back, and
    /// the letters typed since are lost: on a slow line "draft" came out as "dt". A slider's knob has no letters.
    /// </summary>
    [Fact]
    public void A_field_that_is_told_with_each_letter_is_bound()
    {
        var files = DashboardFiles().Where(f => f.EndsWith(".razor", StringComparison.Ordinal))
            .Select(f => (File: f, Text: Repository.Read(f))).ToList();
        Assert.True(files.Sum(f => f.Text.Split("@bind:event=\"oninput\"").Length - 1) >= 8);
        Assert.Empty(files.SelectMany(f => Told().Matches(f.Text).Where(t => !t.Value.Contains("type=\"range\"", StringComparison.Ordinal))
            .Select(t => $"{f.File}: {t.Value}")));
    }

    private static IEnumerable<string> DashboardFiles() =>
        Repository.Files(".razor", ".cs").Where(f => f.StartsWith("Dashboard/", StringComparison.Ordinal));

    private static bool IsPage(string file)
    {
        string markup = Path.Combine(Repository.Root, Path.GetDirectoryName(file) ?? "", Component(file) + ".razor");
        return File.Exists(markup) && File.ReadLines(markup).Any(l => l.StartsWith("@page", StringComparison.Ordinal));
    }

    /// <summary>RunPage of RunPage.razor, RunPage.razor.cs and RunPage.Address.cs.</summary>
    private static string Component(string file) => Path.GetFileName(file).Split('.')[0];

    /// <summary>Preformatted text but for a refusal's, which wraps, and what is called a frame or scroll.</summary>
    [GeneratedRegex("""<pre\b(?! class="refused")[^>]*>|<\w+ class="(?:[^"]* )?(?:scroll|frame)(?: [^"]*)?"[^>]*>""")]
    private static partial Regex Scrolling();

    [GeneratedRegex("""<(?:input|textarea)\b[^<]*?\svalue="[^<]*?@oninput=""")]
    private static partial Regex Told();

    [GeneratedRegex(@"<([A-Z]\w+)[\s/>]")]
    private static partial Regex Tag();
}
