using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Pipelining;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>Where a rank stands in its gang's layout, each counted from 0.</summary>
/// <param name="Pipeline">Which layers it has.</param>
/// <param name="Data">Which rows of each batch it takes, and where ranks share sequences which part of them.</param>
/// <param name="Expert">Which routed experts of its layers it has.</param>
/// <param name="Tensor">Which slice of its products it has.</param>
public readonly record struct Coordinates(int Pipeline, int Data, int Expert, int Tensor);

/// <summary>
/// How one model is spread over the ranks of a gang. Tensor neighbours talk most and are numbered next to each other; then come those that
/// take other rows of the batch, of which <paramref name="Expert"/> neighbours share the experts; pipelines are the outermost.
/// </summary>
public sealed record GangLayout(int Ranks, int Pipeline, int Tensor, int Expert)
{
    /// <summary>Ranks that hold the same weights deal their moments among them (ZeRO stage 1, arXiv 1910.02054).</summary>
    public bool DealsMoments { get; init; }

    /// <summary>By which micro-batches go through the pipeline.</summary>
    public PipelineSchedule Schedule { get; init; }

    /// <summary>Each has as many of the ranks, in the order of their numbers.</summary>
    public int Nodes { get; init; } = 1;

    /// <summary>
    /// Whether tokens go to nodes first: ranks that share experts fill several whole nodes, of several ranks each. Else nothing would be
    /// saved, or the ranks of a node could not pass on each other's tokens evenly.
    /// </summary>
    public bool DispatchesByNode => Tensor == 1 && Nodes > 1 && Ranks > Nodes && Expert > Ranks / Nodes && Expert % (Ranks / Nodes) == 0;

    /// <summary>Ranks that hold the same weights and take different rows, or different parts of a row.</summary>
    public int Data => Ranks / (Pipeline * Tensor);

    /// <summary>
    /// So many of the <see cref="Data"/> ranks, neighbours, share one sequence: each number that a stage uses. Ranks that share experts are
    /// counted beside it: they may be the same ones or others.
    /// </summary>
    public ImmutableArray<int> Contexts { get; init; } = [];

    /// <summary>Where there is but one way: what the benchmark and the check use.</summary>
    public int Context => Contexts is [var one] ? one : 1;

    /// <exception cref="InvalidDataException">So many ranks cannot be laid out that way.</exception>
    public static GangLayout Of(ParallelLayout? layout, int ranks)
    {
        var made = layout is null ? new GangLayout(ranks, 1, 1, 1)
            : new GangLayout(ranks, Math.Max(1, layout.Pipeline), Math.Max(1, layout.Tensor), Math.Max(1, layout.Expert))
            {
                DealsMoments = layout.Zero > 0,
                Schedule = layout.Schedule.Length == 0 ? default : ScheduleOf(layout.Schedule),
                Nodes = Math.Max(1, layout.Nodes),
                Contexts = [.. layout.Context],
            };
        if (made.Contexts.FirstOrDefault(c => c < 2 || made.Data % c != 0) is var uneven and not 0)
        {
            throw new InvalidDataException(
                $"Sequences cannot be shared by {uneven} of {made.Data} ranks each: choose a contextParallel that divides {made.Data}.");
        }
        if (ranks % made.Nodes != 0)
        {
            throw new InvalidDataException($"{ranks} ranks cannot be on {made.Nodes} nodes, as many on each.");
        }
        var data = layout is null ? ranks : Math.Max(1, layout.Data);
        return (long)made.Pipeline * made.Tensor * data == ranks && ranks / made.Pipeline % made.Expert == 0 ? made
            : throw new InvalidDataException(
            $"{ranks} ranks cannot be laid out as {made.Pipeline} pipeline × {data} data × {made.Tensor} tensor with {made.Expert} "
                + "ranks to share the experts: "
            + "the product has to be the number of ranks, and the experts' ranks a divisor of those of one pipeline step.");
    }

    public ParallelLayout ToProto() =>
        new()
        {
            Pipeline = Pipeline, Tensor = Tensor, Data = Data, Expert = Expert, Zero = DealsMoments ? 1 : 0,
            Schedule = Schedule.Name(), Nodes = Nodes, Context = { Contexts },
        };

    /// <param name="text">As "dp=2,ep=4,pp=2,cp=2,nodes=2,schedule=dualpipev": replicas of each expert, ranks that share the experts,
    /// pipeline ranks, ranks that share a sequence, and on how many nodes they are taken to be. What is left out is 1, and the schedule
    /// 1f1b.</param>
    /// <exception cref="InvalidDataException">It is not of that form; the message says how it is.</exception>
    public static GangLayout Parse(string text)
    {
        var counts = new Dictionary<string, int> { ["dp"] = 1, ["ep"] = 1, ["pp"] = 1, ["cp"] = 1, ["nodes"] = 1 };
        var named = new HashSet<string>();
        var schedule = PipelineSchedule.OneForwardOneBackward;
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries))
        {
            var (key, value) = part.Split('=', 2) is [var left, var right] ? (left.Trim(), right.Trim()) : (part, "");
            if (key == ScheduleKey && named.Add(key))
            {
                schedule = ScheduleOf(value);
                continue;
            }
            if (!counts.ContainsKey(key) || !int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var count)
                || count is < 1 or > MostAlongOneWay || !named.Add(key))
            {
                throw new InvalidDataException(
                    $"\"{part}\" in --parallel: write dp=N,ep=N,pp=N,cp=N,nodes=N,schedule=NAME, each once at most and N a number from 1 "
                        + $"to {MostAlongOneWay}, for example dp=2,ep=2,pp=2,schedule=dualpipev.");
            }
            counts[key] = count;
        }
        var layout = new GangLayout(counts["pp"] * counts["ep"] * counts["dp"] * counts["cp"], counts["pp"], 1, counts["ep"])
        {
            Schedule = schedule, Nodes = counts["nodes"], Contexts = counts["cp"] > 1 ? [counts["cp"]] : [],
        };
        return layout.NodesProblem is { } problem ? throw new InvalidDataException(problem) : layout;
    }

    /// <summary>Why a gang cannot be cut so into nodes; null: it can.</summary>
    public string? NodesProblem =>
        Ranks % Nodes != 0 ? $"nodes={Nodes} does not divide the {Ranks} ranks (dp × ep × pp × cp): write a divisor of {Ranks}."
        : Ranks / Nodes is var each && Expert % each != 0 && each % Expert != 0
            ? $"nodes={Nodes} puts {each} ranks on a node, which cuts the {Expert} ranks that share experts (ep) unevenly: choose nodes "
                + $"so that the ranks of one are a multiple or a divisor of {Expert}."
        : null;

    /// <summary>As <see cref="Parse"/> reads it.</summary>
    public string InWords =>
        $"dp={Data / (Expert * Context)},ep={Expert},pp={Pipeline},{(Context > 1 ? $"cp={Context}," : "")}schedule={Schedule.Name()}"
            + (Nodes > 1 ? $",nodes={Nodes}" : "");

    private const string ScheduleKey = "schedule";

    private static PipelineSchedule ScheduleOf(string name)
    {
        foreach (var (known, schedule) in PipelineSchedules.Names)
        {
            if (known == name)
            {
                return schedule;
            }
        }
        throw new InvalidDataException(
            $"There is no schedule \"{name}\": write one of {string.Join(", ", PipelineSchedules.Names.Select(n => n.Name))}.");
    }

    private const int MostAlongOneWay = 2048;

    public Coordinates Of(int rank)
    {
        var within = rank % (Data * Tensor);
        return new Coordinates(rank / (Data * Tensor), within / Tensor, within % Expert, within % Tensor);
    }

    /// <summary>Whom a rank computes what with, in the order of their numbers; the rank itself is among them.</summary>
    public Neighbours NeighboursOf(int rank)
    {
        var own = Of(rank);
        var replica = own.Data / Expert;
        int[] Where(Func<Coordinates, bool> alike) => [.. Enumerable.Range(0, Ranks).Where(other => alike(Of(other)))];
        var experts = Where(o => o.Pipeline == own.Pipeline && o.Tensor == own.Tensor && o.Data / Expert == replica);
        var (each, node) = (Ranks / Nodes, rank / (Ranks / Nodes));
        return new Neighbours(
            Data: Where(o => o.Pipeline == own.Pipeline && o.Tensor == own.Tensor),
            Experts: experts,
            Replicas: Where(o => o.Pipeline == own.Pipeline && o.Tensor == own.Tensor && o.Expert == own.Expert),
            Pipeline: Where(o => o.Data == own.Data && o.Tensor == own.Tensor),
            Model: Where(o => o.Data / Expert == replica))
        {
            Mirror = Where(o => o.Data == own.Data && o.Tensor == own.Tensor
                && (o.Pipeline == own.Pipeline || o.Pipeline == Pipeline - 1 - own.Pipeline)),
            Contexts = Contexts.ToDictionary(
                count => count,
                count => Where(o => o.Pipeline == own.Pipeline && o.Tensor == own.Tensor && o.Data / count == own.Data / count)),
            ExpertNodes = !DispatchesByNode ? null
                : ([.. experts.Where(r => r % each == rank % each)], [.. experts.Where(r => r / each == node)]),
        };
    }
}

/// <summary>The ranks of each group that a rank belongs to, the rank itself included.</summary>
/// <param name="Data">Hold the same dense weights and take other rows of the batch.</param>
/// <param name="Experts">Share the routed experts of the same layers: each has some of them, and other rows of the batch.</param>
/// <param name="Replicas">Hold the same routed experts.</param>
/// <param name="Pipeline">Take the same rows and hold other layers.</param>
/// <param name="Model">Hold one whole model between them, dense weights once for each of <paramref name="Experts"/>.</param>
public sealed record Neighbours(int[] Data, int[] Experts, int[] Replicas, int[] Pipeline, int[] Model)
{
    /// <summary>Of <see cref="Pipeline"/> the rank itself and the one as far from the other end.</summary>
    public required int[] Mirror { get; init; }

    /// <summary>Of <see cref="Data"/> those that share this rank's sequences, by how many they are.</summary>
    public required IReadOnlyDictionary<int, int[]> Contexts { get; init; }

    /// <summary>
    /// Of <see cref="Experts"/> those at this rank's place on each node, and those on its node; null where tokens do not go by nodes.
    /// </summary>
    public (int[] Across, int[] Within)? ExpertNodes { get; init; }
}
