using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Training.Stages;
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
}
