using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>Whoever wants a rise acted on needs a checkpoint of before it at the moment when it is judged.</summary>
internal static class LossSpikeChecks
{
    public static void Check(PipelineSpec spec, StageSpec stage, string at, Reading reading)
    {
        if (spec.LossSpikes is not { Mode: LossSpikeMode.Act, Policy: LossSpikePolicy.RollBack or LossSpikePolicy.LowerRate }
            || !LossSpikes.Minds(stage.Kind))
        {
            return;
        }
        var kept = spec.CheckpointsOf(stage);
        const int Back = SpikeRule.JudgedAfter + SpikeRule.BeginsBefore + 1;
        long reach = (long)(kept.Keep - 1) * kept.EverySteps;
        long keep = 1 + ((Back + kept.EverySteps - 1) / kept.EverySteps);
        string where = stage.Checkpoints is null ? "checkpoints" : $"{at}.checkpoints";
        reading.Check(reach >= Back, $"{where}.keep",
            $"A rise of the loss is judged {SpikeRule.JudgedAfter} steps after its flag and may have begun {SpikeRule.BeginsBefore} "
                + $"before it; {kept.Keep} checkpoints, one each {kept.EverySteps} steps, reach {reach} steps back: "
                + "none of before it may be left to go back to.",
            $"Write keep: {keep}, or everySteps: {(Back + kept.Keep - 2) / (kept.Keep - 1)}.",
            ["lossSpikes.mode", "lossSpikes.policy", $"{where}.everySteps"]);
    }
}
