using System.Runtime.CompilerServices;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Stages;

/// <summary>Sets that are closed have a place for each of their members; a new one without is named by the test that fails.</summary>
public sealed class ClosedSetTests
{
    public static TheoryData<RankState> States => [.. Enum.GetValues<RankState>()];

    public static TheoryData<string> Effects => [.. typeof(StageEffect).GetNestedTypes().Select(t => t.Name)];

    public static TheoryData<string> Orders => [.. typeof(WorkerOrder).GetNestedTypes().Select(t => t.Name)];

    [Theory]
    [MemberData(nameof(States))]
    public void Each_state_of_a_rank_has_its_place(RankState state) =>
        Assert.Equal($"{state}", state.Match("Unknown", "Starting", "Training", "Saving", "Done", "Exited"));

    [Theory]
    [MemberData(nameof(Effects))]
    public void Each_effect_of_the_engine_has_its_place(string kind)
    {
        var effect = (StageEffect)RuntimeHelpers.GetUninitializedObject(typeof(StageEffect).GetNestedType(kind)!);
        Assert.Equal(kind, effect.Match(
            look: _ => "Look", lookAtCheckpoints: _ => "LookAtCheckpoints", write: _ => "Write", keepEvidence: _ => "KeepEvidence",
            nodeFailed: _ => "NodeFailed", nodesChecked: _ => "NodesChecked", createPods: _ => "CreatePods",
            endPods: _ => "EndPods", release: _ => "Release"));
    }

    [Theory]
    [MemberData(nameof(Orders))]
    public void Each_order_has_its_place(string kind)
    {
        var order = (WorkerOrder)RuntimeHelpers.GetUninitializedObject(typeof(WorkerOrder).GetNestedType(kind)!);
        Assert.Equal(kind, order.Match(
            goOn: _ => "Continue", start: _ => "Start", save: _ => "SaveCheckpoint", rollBack: _ => "RollBack",
            restart: _ => "RestartRanks", form: _ => "Form", stop: _ => "Stop"));
    }
}
