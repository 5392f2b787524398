using System.Globalization;

namespace DeepSeekOps.Decisions.Simulation;

/// <summary>How many spares a trace asks for by what it has of repairs, beside the usual formula.</summary>
/// <param name="Measured">
/// The smallest number with which a gang is short of nodes for less than 1 % of the trace's time, over draws of its machines. Null: all
/// that the cluster has beside the gang are too few.
/// </param>
/// <param name="Poisson">By the trace's own mean of machines that are out, if they failed each for itself.</param>
/// <param name="ShortWithPoisson">Share of the time that the gang is short with so many.</param>
/// <param name="MeanOut">Of the gang's machines that are out at once, over the trace's time.</param>
/// <param name="VarianceOut">Of the same. Where machines fail each for itself it is the mean, however long repairs take.</param>
public sealed record TracedSpares(int? Measured, int Poisson, double ShortWithPoisson, double MeanOut, double VarianceOut)
{
    /// <summary>Of the time. The same as the plan's spares have.</summary>
    private const double Short = 0.01;

    /// <summary>Draws of who is in the gang's part of the cluster. Ours: with twice as many the number stays the same.</summary>
    private const int Draws = 40;

    /// <summary>Why the formula is wrong, where it is; empty: it is not.</summary>
    public string Why => Measured is { } enough && enough <= Poisson ? "" : string.Create(CultureInfo.InvariantCulture,
        $"with {Poisson} the gang would be short for {ShortWithPoisson:0.0%} of the time: machines do not fail each for itself, and ")
        + string.Create(CultureInfo.InvariantCulture, $"those of it that are out at once have mean {MeanOut:0.0} ")
        + string.Create(CultureInfo.InvariantCulture, $"and variance {VarianceOut:0.0}, which would be equal if they did");

    /// <param name="nodes">Of the gang.</param>
    /// <param name="machines">Of the whole cluster.</param>
    public static TracedSpares Of(FaultTrace trace, int nodes, int machines)
    {
        var (shares, mean, variance) = Played(trace, nodes, machines, Draws);
        int poisson = Math.Min(PoissonOf(mean), shares.Length - 1);
        int measured = Array.FindIndex(shares, s => s < Short);
        return new TracedSpares(measured < 0 ? null : measured, poisson, shares[poisson], mean, variance);
    }

    /// <summary>Enough for a cluster of the gang and its spares alone, on which all of the trace happens.</summary>
    public static int For(FaultTrace trace, int nodes)
    {
        double[] shares = Played(trace, nodes, nodes + trace.Nodes, draws: 1, all: true).Shares;
        return Math.Max(trace.Nodes - nodes, Array.FindIndex(shares, s => s < Short));
    }

    /// <param name="all">Every machine that fails is of the gang's part.</param>
    /// <returns>
    /// By number of spares: the share of the time that more of the gang's part are out than it has spares; and of the gang's own machines
    /// mean and variance of how many are out.
    /// </returns>
    private static (double[] Shares, double Mean, double Variance) Played(
        FaultTrace trace, int nodes, int machines, int draws, bool all = false)
    {
        double[] seconds = new double[machines - nodes + 1];
        double total = trace.Span.TotalSeconds * draws, sum = 0, squares = 0;
        for (int draw = 0; draw < draws; draw++)
        {
            var places = trace.Places(Math.Max(machines, trace.Nodes), draw);
            int[] down = new int[seconds.Length];
            var before = TimeSpan.Zero;
            foreach (var (at, way, node) in Turns(trace))
            {
                Enter(at - before);
                before = at;
                for (int s = all ? 0 : Math.Max(0, places[node] - nodes + 1); s < down.Length; s++)
                {
                    down[s] += way;
                }
            }

            Enter(trace.Span - before);

            void Enter(TimeSpan span)
            {
                sum += down[0] * span.TotalSeconds;
                squares += (double)down[0] * down[0] * span.TotalSeconds;
                for (int s = 0; s < down.Length; s++)
                {
                    seconds[s] += down[s] > s ? span.TotalSeconds : 0;
                }
            }
        }

        double mean = sum / total;
        return ([.. seconds.Select(s => s / total)], mean, (squares / total) - (mean * mean));
    }

    private static IEnumerable<(TimeSpan At, int Way, int Node)> Turns(FaultTrace trace) => trace.Faults
        .SelectMany(f => new[] { (At: f.From, Way: 1, f.Node), (At: f.Until, Way: -1, f.Node) }).OrderBy(t => t.At);

    /// <summary>Smallest k with P(Poisson(mean) > k) below 1 %.</summary>
    private static int PoissonOf(double mean)
    {
        double term = Math.Exp(-mean), covered = term;
        int k = 0;
        while (covered < 1 - Short && k < 100_000)
        {
            k++;
            term *= mean / k;
            covered += term;
        }

        return k;
    }
}
