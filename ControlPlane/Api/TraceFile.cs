using System.Globalization;
using System.Text.Json;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Recipes.Pipelining;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>A recording as the file that chrome://tracing and Perfetto open.</summary>
internal static class TraceFile
{
    public static void Write(Utf8JsonWriter json, Trace trace)
    {
        var nodes = trace.Drawn.Select(r => r.Node).Distinct().ToList();
        ChromeTrace.Write(json, [.. trace.Drawn.Select(rank => new TraceRow(
            rank.Rank, nodes.IndexOf(rank.Node), rank.Node, Words(rank, trace), SpansOf(rank)))], [.. About(trace)]);
    }

    private static string Words(TraceRank rank, Trace trace) => string.Create(CultureInfo.InvariantCulture,
        $"rank {rank.Rank}: pp {rank.Pipeline}, dp {rank.Data}, ep {rank.Expert}{(rank.HasContext ? $", cp {rank.Context}" : "")}")
        + (rank.Rank == trace.Slowest && trace.Drawn.Count > 1 ? ", computed longest" : "");

    private static IEnumerable<Span> SpansOf(TraceRank rank)
    {
        for (int i = 0; i < (rank.Spans?.Name.Count ?? 0); i++)
        {
            string[] words = rank.Spans!.Names[rank.Spans.Name[i]].Split(": ", 2);
            long began = rank.Spans.FromNanoseconds + (rank.Spans.BeganMicroseconds[i] * 1000L);
            yield return new Span(words[0], words.Length > 1 ? words[1] : "", began, began + (rank.Spans.TookMicroseconds[i] * 1000L));
        }
    }

    private static IEnumerable<(string, string)> About(Trace trace)
    {
        string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
        yield return ("run", Text($"{trace.Run}/{trace.Stage}, attempt {trace.Attempt}, ")
            + (trace.Steps == 1 ? Text($"step {trace.FirstStep}") : Text($"steps {trace.FirstStep} to {trace.FirstStep + trace.Steps - 1}"))
            + Text($"{(trace.Simulated ? ", simulated" : "")}"));
        yield return ("ranks", trace.Drawn.Count == trace.Ranks ? Text($"all {trace.Ranks}")
            : Text($"{trace.Drawn.Count} of {trace.Ranks}: one for each place of the pipeline, and the one that computed longest"));
        yield return ("step", Text($"{trace.StepSeconds:0.######} s"));
        yield return ("bubble", Text($"{trace.Parts.Bubble:0.######} s measured, the mean of all ranks")
            + (trace.Schedule.Length > 0 ? Text($"; {trace.FormulaSeconds:0.######} s by the formula of {trace.Schedule}") : ""));
        foreach (var clock in trace.Clocks)
        {
            string nodes = string.Join(", ", clock.Nodes);
            yield return (Text($"clock of {nodes}"), clock is { OffsetNanoseconds: 0, ErrorNanoseconds: 0 } ? "the one that is told by"
                : Text($"moved by {clock.OffsetNanoseconds / 1e6:0.###} ms, found by the ends of calls of all ranks, which lie ")
                    + Text($"{clock.ErrorNanoseconds / 1e6:0.###} ms apart at most"));
        }

        if (trace.Drawn.Sum(r => r.Spans?.LeftOut ?? 0) is > 0 and var left)
        {
            yield return ("left out", Text($"{left} spans beyond what is kept of a rank; the sums count them"));
        }
    }
}
