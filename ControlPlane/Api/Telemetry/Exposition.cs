using System.Collections.Immutable;
using System.Globalization;
using System.Text;

namespace DeepSeekOps.ControlPlane.Api.Telemetry;

/// <summary>Samples of one name.</summary>
/// <param name="Type">"gauge", "counter" or "histogram".</param>
internal sealed record Family(string Name, string Type, string Help, params ImmutableArray<string> Labels);

/// <param name="Labels">Values, in the order of the family's labels.</param>
internal readonly record struct Point(double Value, params string[] Labels);

/// <summary>
/// Prometheus' text format, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats): every Prometheus since 2014 reads it.
/// </summary>
internal sealed class Exposition
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    private readonly StringBuilder text = new(1 << 16);

    public override string ToString() => text.ToString();

    public void Write(Family family, IEnumerable<Point> points)
    {
        Begin(family.Name, family.Type, family.Help);
        foreach (var point in points)
        {
            if (point.Labels.Length != family.Labels.Length)
            {
                throw new ArgumentException($"{family.Name} has the labels {string.Join(", ", family.Labels)}, and a point of it has "
                    + $"{point.Labels.Length}.", nameof(points));
            }

            Sample(family.Name, Labels(family.Labels.Zip(point.Labels)), point.Value);
        }
    }

    public void Begin(string name, string type, string help)
    {
        text.Append("# HELP ").Append(name).Append(' ').Append(help.Replace("\\", "\\\\", StringComparison.Ordinal)
            .Replace("\n", "\\n", StringComparison.Ordinal)).Append('\n');
        text.Append("# TYPE ").Append(name).Append(' ').Append(type).Append('\n');
    }

    /// <param name="labels">As <see cref="Labels"/> has made them.</param>
    public void Sample(string name, string labels, double value)
    {
        text.Append(name);
        if (labels.Length > 0)
        {
            text.Append('{').Append(labels).Append('}');
        }

        text.Append(' ').Append(Number(value)).Append('\n');
    }

    public static string Labels(IEnumerable<(string Name, string Value)> labels) =>
        string.Join(',', labels.Select(l => $"{l.Name}=\"{Escaped(l.Value)}\""));

    public static string Number(double value) => value switch
    {
        double.PositiveInfinity => "+Inf",
        double.NegativeInfinity => "-Inf",
        double.NaN => "NaN",
        _ => value.ToString("R", CultureInfo.InvariantCulture),
    };

    private static string Escaped(string value) => value.Replace("\\", "\\\\", StringComparison.Ordinal)
        .Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
}
