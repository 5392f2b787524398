using System.Collections.Immutable;
using System.Globalization;

namespace DeepSeekOps.Decisions.Simulation;

/// <summary>A machine that was out of service.</summary>
/// <param name="From">Since the trace began.</param>
/// <param name="Node">Its number in the trace, from 0.</param>
public sealed record TracedFault(TimeSpan From, TimeSpan Until, int Node, FaultCause Cause);

/// <summary>What happened to a cluster's machines, to be played through the deciders. Of one machine no two faults overlap.</summary>
public sealed record FaultTrace(string Name, ImmutableArray<TracedFault> Faults)
{
    /// <summary>Ours: a century of a large cluster; more is another kind of file.</summary>
    private const int RowsMax = 1_000_000;

    private const int ProblemsTold = 5;

    private static readonly string[] Wanted = ["start_days", "end_days", "node"];

    /// <summary>Machines that it has something to say of: its largest number and one.</summary>
    public int Nodes { get; } = Faults.Max(f => f.Node) + 1;

    /// <summary>Until the last machine was whole again, in whole days.</summary>
    public TimeSpan Span { get; } = TimeSpan.FromDays(Math.Ceiling(Faults.Max(f => f.Until).TotalDays));

    /// <summary>Its machines among the cluster's, drawn: the order of a trace is no order of racks.</summary>
    /// <returns>By its own numbers: places in the cluster.</returns>
    public ImmutableArray<int> Places(int machines, int seed)
    {
        int[] places = [.. Enumerable.Range(0, machines)];
        new Random(unchecked(seed * 13) + 5).Shuffle(places);
        return [.. places.Take(Nodes)];
    }

    /// <summary>
    /// CSV with a head: start_days, end_days, node; class and others may stand beside in any order. Each problem names line and column.
    /// </summary>
    public static (FaultTrace? Trace, ImmutableArray<string> Problems) Parse(string name, string text)
    {
        string[] lines = [.. text.TrimStart('\ufeff').Split('\n').Select(l => l.TrimEnd('\r'))];
        string[] head = [.. Fields(lines[0]).Select(f => f.Trim().ToLowerInvariant())];
        if (Wanted.Where(w => !head.Contains(w)).ToArray() is { Length: > 0 } missing)
        {
            return (null, [$"line 1 has no column {string.Join(", ", missing)}: it is to name start_days, end_days and node"]);
        }

        if (lines.Length > RowsMax)
        {
            return (null, [$"it has {lines.Length} lines; at most {RowsMax} are read"]);
        }

        var problems = ImmutableArray.CreateBuilder<string>();
        var faults = new List<TracedFault>();
        for (int i = 1; i < lines.Length && problems.Count < ProblemsTold; i++)
        {
            if (lines[i].Trim().Length > 0 && Row(head, Fields(lines[i]), i + 1, problems) is { } fault)
            {
                faults.Add(fault);
            }
        }

        return problems.Count > 0 ? (null, problems.ToImmutable())
            : faults.Count == 0 ? (null, ["it has a head and no fault below it"])
            : (new FaultTrace(name, Merged(faults)), []);
    }

    private static TracedFault? Row(string[] head, List<string> fields, int line, ImmutableArray<string>.Builder problems)
    {
        double from = Days("start_days"), until = Days("end_days");
        string node = Field("node");
        if (!int.TryParse(node, NumberStyles.None, CultureInfo.InvariantCulture, out int number) || number > 1_000_000)
        {
            problems.Add($"line {line}: node is '{node}'; a whole number from 0 is wanted");
            return null;
        }

        if (until < from)
        {
            problems.Add(string.Create(CultureInfo.InvariantCulture, $"line {line}: end_days is {until}, before start_days {from}"));
            return null;
        }

        string cause = Field("class") is { Length: > 0 } named ? named : "fault";
        return double.IsNaN(from) || double.IsNaN(until) ? null
            : new TracedFault(Agenda.Round(from * 86_400), Agenda.Round(until * 86_400), number, new FaultCause(cause, 1, EffectOf(cause)));

        string Field(string column) => Array.IndexOf(head, column) is var at and >= 0 && at < fields.Count ? fields[at].Trim() : "";

        double Days(string column)
        {
            string text = Field(column);
            if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double days) && days is >= 0 and <= 3_650)
            {
                return days;
            }

            problems.Add($"line {line}: {column} is '{text}'; days from 0 to 3650 are wanted");
            return double.NaN;
        }
    }

    /// <summary>
    /// Ours: a GPU's fault ends its rank at once and is seen; of all else the launcher sees only that the machine has gone, and later.
    /// </summary>
    private static FaultEffect EffectOf(string cause) =>
        cause.Contains("gpu", StringComparison.OrdinalIgnoreCase) ? FaultEffect.GpuFails : FaultEffect.NodeLost;

    /// <summary>A machine that is out is not struck again: what overlaps is one time out, owed to its first cause.</summary>
    private static ImmutableArray<TracedFault> Merged(List<TracedFault> faults)
    {
        var merged = new List<TracedFault>();
        foreach (var node in faults.GroupBy(f => f.Node))
        {
            TracedFault? open = null;
            foreach (var fault in node.OrderBy(f => f.From).ThenBy(f => f.Until))
            {
                if (open is not null && fault.From <= open.Until)
                {
                    open = open with { Until = fault.Until > open.Until ? fault.Until : open.Until };
                    continue;
                }

                if (open is not null)
                {
                    merged.Add(open);
                }

                open = fault;
            }

            merged.Add(open!);
        }

        return [.. merged.OrderBy(f => f.From).ThenBy(f => f.Node)];
    }

    /// <summary>Commas within quotes belong to the field.</summary>
    private static List<string> Fields(string line)
    {
        var fields = new List<string>();
        bool quoted = false;
        int begin = 0;
        for (int i = 0; i <= line.Length; i++)
        {
            if (i == line.Length || (line[i] == ',' && !quoted))
            {
                fields.Add(line[begin..i].Trim().Trim('"'));
                begin = i + 1;
            }
            else if (line[i] == '"')
            {
                quoted = !quoted;
            }
        }

        return fields;
    }
}
