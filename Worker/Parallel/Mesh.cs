using System.Collections.ObjectModel;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>The groups that a rank belongs to (<see cref="Neighbours"/> says who is in which).</summary>
/// <param name="World">All ranks of the gang: they agree on what is saved, and when they end.</param>
/// <param name="Data">Those that hold the same dense weights as this one and take other rows of the batch.</param>
/// <param name="Experts">Those that share the routed experts of its layers.</param>
/// <param name="Replicas">Those that hold the same routed experts.</param>
/// <param name="Pipeline">Those that take the same rows and hold other layers.</param>
/// <param name="Model">Those that hold the other parts of the same model.</param>
public sealed record Mesh(
    Calls Calls, IProcessGroup World, IProcessGroup Data, IProcessGroup Experts, IProcessGroup Replicas, IProcessGroup Pipeline,
    IProcessGroup Model)
{
    /// <summary>
    /// This rank and the one as far from the other end of the pipeline, the earlier first: they may hold the same weights. Null in the
    /// middle of an odd number, and where there is no pipeline.
    /// </summary>
    public IProcessGroup? Mirror { get; init; }

    /// <summary>The same ranks as <see cref="Experts"/> by the nodes that they lie on; null where a token is not to be passed on.</summary>
    public NodeGroups? ExpertNodes { get; init; }

    /// <summary>Of <see cref="Data"/> those that share this rank's sequences, by how many they are.</summary>
    public IReadOnlyDictionary<int, IProcessGroup> Contexts { get; init; } = ReadOnlyDictionary<int, IProcessGroup>.Empty;

    public ExpertRanks ExpertRanks => new(Experts) { Nodes = ExpertNodes };

    /// <summary>Null: gradients are summed up after the backward pass, and updated weights are given before the next.</summary>
    public CallsBeside? Beside { get; init; }

    /// <summary>Of a gang of one.</summary>
    public static Mesh Alone()
    {
        var calls = new Calls();
        var group = new Alone(calls);
        return new Mesh(calls, group, group, group, group, group, group);
    }

    /// <summary>Where what this rank does is noted.</summary>
    public StepTrace Trace { get; init; } = StepTrace.Off;

    /// <summary>The same groups, whose calls are noted.</summary>
    public Mesh Traced(StepTrace trace) => Each((group, name) => new TracedGroup(group, name, trace)) with { Trace = trace };

    /// <summary>What its steps take, and how much of it is waiting; measured only where <see cref="Timed"/>.</summary>
    public RankTime Time { get; private init; } = new();

    /// <summary>The same groups, whose calls are timed. A rank alone waits for nobody.</summary>
    public Mesh Timed()
    {
        var time = new RankTime();
        return World.Ranks == 1 ? this
            : Each((group, _) => group.Ranks == 1 ? group : new TimedGroup(group, time)) with { Time = time };
    }

    private Mesh Each(Func<IProcessGroup, string, IProcessGroup> of) => this with
    {
        World = of(World, "world"),
        Data = of(Data, "data"),
        Experts = of(Experts, "experts"),
        Replicas = of(Replicas, "replicas"),
        Pipeline = of(Pipeline, "pipeline"),
        Model = of(Model, "model"),
        Mirror = Mirror is null ? null : of(Mirror, "mirror"),
        ExpertNodes = ExpertNodes is not { } nodes ? null
            : new NodeGroups(of(nodes.Across, "experts between nodes"), of(nodes.Within, "experts of a node")),
        Contexts = Contexts.ToDictionary(c => c.Key, c => of(c.Value, $"context {c.Key}")),
        Beside = Beside is null ? null
            : Beside with { Data = of(Beside.Data, "data, beside"), Replicas = of(Beside.Replicas, "replicas, beside") },
    };
}
