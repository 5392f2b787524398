using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.Decisions.Runs;

/// <summary>What can be said of a pipeline and this cluster before it is submitted.</summary>
public static class FirstLook
{
    /// <summary>Why a stage could never start on the cluster as it is, however long it waits. Null: each could.</summary>
    public static string? CannotStart(PipelineSpec spec, PlacementQuestion question)
    {
        var gangs = spec.Stages.Select(stage => (stage.Name, Request: Asks(spec, stage, question.Now)));
        var misfits = gangs.Select(g => (g.Name, Why: PlacementQueue.CannotStart(g.Request, question))).Where(g => g.Why is not null)
            .ToImmutableArray();
        string who = misfits.Length == spec.Stages.Length ? spec.Name : string.Join(", ", misfits.Select(m => m.Name));
        return misfits.IsEmpty ? null
            : $"{who} could not start on this cluster as it is: it {misfits[0].Why}.";
    }

    private static GangRequest Asks(PipelineSpec spec, StageSpec stage, DateTimeOffset now)
    {
        var resources = spec.ResourcesOf(stage);
        return new GangRequest(new StageId(spec.Name, stage.Name), 1, resources.Nodes, resources.RanksPerNode, 0, spec.Team, now,
            ImmutableDictionary<NodeId, string>.Empty)
        {
            Group = resources.Group,
        };
    }
}
