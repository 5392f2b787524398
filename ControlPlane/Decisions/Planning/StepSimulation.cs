using System.Collections.Immutable;
using DeepSeekOps.Recipes.Pipelining;

namespace DeepSeekOps.Decisions.Planning;

/// <summary>What a rank did from when to when.</summary>
/// <param name="Tasks">One, or a forward and the backward beside it.</param>
public sealed record SimulatedTask(int Rank, ImmutableArray<PipelineTask> Tasks, double Begins, double Ends);

/// <summary>
/// A pipeline's step played by its schedule: each rank does its tasks in their order, each as soon as what it needs has come. Nothing in it
/// is fitted: what it knows is the schedule and how long the parts of a micro-batch take.
/// </summary>
/// <param name="Seconds">Until the last rank has ended.</param>
/// <param name="Tasks">Of each rank in its order.</param>
public sealed record StepSimulation(double Seconds, ImmutableArray<ImmutableArray<SimulatedTask>> Tasks)
{
    public double BusySeconds(int rank) => Tasks[rank].Sum(t => t.Ends - t.Begins);

    /// <summary>What the rank that works least waits in a step.</summary>
    public double LargestBubble => Seconds - Enumerable.Range(0, Tasks.Length).Min(BusySeconds);

    /// <exception cref="InvalidDataException">The schedule cannot run so; the message says what would.</exception>
    /// <exception cref="InvalidOperationException">Each rank waits for another: the schedule is no schedule.</exception>
    public static StepSimulation Of(PipelineSchedule schedule, int ranks, int microBatches, ChunkSeconds parts)
    {
        var route = new PipelineRoute(schedule, ranks, microBatches);
        var left = Enumerable.Range(0, ranks).Select(rank => new Queue<ImmutableArray<PipelineTask>>(
            Together(PipelineSchedules.Of(schedule, ranks, rank, microBatches)))).ToList();
        var played = left.ConvertAll(_ => ImmutableArray.CreateBuilder<SimulatedTask>());
        var made = new Dictionary<PipelineMessage, double>();
        while (left.Exists(l => l.Count > 0))
        {
            bool moved = false;
            for (int rank = 0; rank < ranks; rank++)
            {
                while (left[rank].TryPeek(out var tasks) && Ready(tasks, rank, route, made, parts.Send) is { } ready)
                {
                    double begins = Math.Max(ready, played[rank].Count == 0 ? 0 : played[rank][^1].Ends);
                    double ends = begins + Length(tasks, parts);
                    played[rank].Add(new SimulatedTask(rank, left[rank].Dequeue(), begins, ends));
                    foreach (var message in tasks.Select(route.MadeBy).OfType<PipelineMessage>())
                    {
                        made.Add(message, ends);
                    }

                    moved = true;
                }
            }

            if (!moved)
            {
                throw new InvalidOperationException($"{schedule} on {ranks} ranks: each waits for another.");
            }
        }

        return new StepSimulation(
            played.Max(p => p.Count == 0 ? 0 : p[^1].Ends), [.. played.Select(p => p.ToImmutable())]);
    }

    /// <summary>A task with what is done beside it.</summary>
    public static IEnumerable<ImmutableArray<PipelineTask>> Together(ImmutableArray<PipelineTask> tasks)
    {
        for (int i = 0; i < tasks.Length; i++)
        {
            if (i + 1 < tasks.Length && tasks[i + 1].Beside)
            {
                yield return [tasks[i], tasks[++i]];
            }
            else
            {
                yield return [tasks[i]];
            }
        }
    }

    private static double? Ready(
        ImmutableArray<PipelineTask> tasks, int rank, PipelineRoute route, Dictionary<PipelineMessage, double> made, double send)
    {
        double ready = 0;
        foreach (var needed in tasks.Select(route.NeededBy).OfType<PipelineMessage>())
        {
            if (!made.TryGetValue(needed, out double at))
            {
                return null;
            }

            ready = Math.Max(ready, at + (route.SenderOf(needed) == rank ? 0 : send));
        }

        return ready;
    }

    private static double Length(ImmutableArray<PipelineTask> tasks, ChunkSeconds parts) => tasks.Length == 2 ? parts.Overlapped
        : tasks[0].Work switch
        {
            PipelineWork.Forward => parts.Forward,
            PipelineWork.Backward => parts.Backward,
            PipelineWork.BackwardInputs => parts.InputBackward,
            PipelineWork.BackwardWeights => parts.WeightBackward,
            _ => throw new ArgumentOutOfRangeException(nameof(tasks), $"work {tasks[0].Work}"),
        };
}
