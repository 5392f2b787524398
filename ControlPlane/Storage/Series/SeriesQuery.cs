using System.Collections.Immutable;

namespace DeepSeekOps.ControlPlane.Storage.Series;

public enum SeriesAxis
{
    Step = 0,
    Tokens = 1,
    Time = 2,
}

/// <summary>What a chart asks for.</summary>
/// <param name="From">First x wanted, in units of the axis; null: from the beginning.</param>
/// <param name="Px">Buckets at most: one for each pixel of the plot.</param>
/// <param name="LogX">Bucket edges are even in the logarithm of x, as the chart shows it.</param>
/// <param name="Smooth">Weight of the past in the moving average, 0 (none) to 0.999.</param>
public sealed record SeriesQuery(
    string Run, string Stage, ImmutableArray<string> Names, double? From, double? To, int Px, SeriesAxis Axis, bool LogX, double Smooth);
