using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Training.Stages;
using Google.Protobuf.Reflection;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Training.Stages;

public sealed class StageKindTests
{
    public static TheoryData<TrainingPlan.WorkOneofCase> OnTheWire =>
        [.. Enum.GetValues<TrainingPlan.WorkOneofCase>().Where(work => work != TrainingPlan.WorkOneofCase.None)];

    [Theory]
    [MemberData(nameof(OnTheWire))]
    public void Every_kind_of_stage_on_the_wire_has_a_work(TrainingPlan.WorkOneofCase kind) =>
        Assert.True(StageContext.Works.ContainsKey(kind), $"Worker/Training/Stages/StageContext.cs has no work for {kind}.");

    [Theory]
    [MemberData(nameof(OnTheWire))]
    public void What_is_asked_of_a_kind_before_its_work_is_there_is_known_and_is_what_the_control_plane_says(
        TrainingPlan.WorkOneofCase kind)
    {
        Assert.True(StageWorks.All.TryGetValue(kind, out var known), $"Worker/Checkpoints/StageWorks.cs does not know {kind}.");
        var work = TrainingPlan.Descriptor.FindFieldByNumber((int)kind);
        Assert.Equal(StageRecipe.Kinds[work.Name.Replace('_', '-')].ReplicasAreAlike, known.ReplicasAreAlike);
        // A checkpoint that its message names beside the plan's first one has to be brought.
        Assert.Equal(work.MessageType.Fields.InFieldNumberOrder().Any(f => f.FieldType == FieldType.Message
            && f.MessageType == CheckpointRef.Descriptor), known.Second is not null);
    }
}
