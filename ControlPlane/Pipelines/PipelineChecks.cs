using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Recipes.Weights;
using ModelShape = DeepSeekOps.Decisions.Recipes.ModelShape;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>What no field can say alone: whether they fit together.</summary>
internal static class PipelineChecks
{
    /// <summary>The byte tokenizer's 256 bytes and 16 marks.</summary>
    private const int ByteVocabulary = 272;

    public static void Check(PipelineSpec spec, Reading reading)
    {
        Model(spec.Model, "model", reading);
        reading.Check(spec.Data.Tokenizer != "byte" || spec.Model.VocabSize >= ByteVocabulary,
            spec.ModelFrom is null ? "model.vocabSize" : "data.tokenizer",
            $"The byte tokenizer has {ByteVocabulary} tokens, the model {spec.Model.VocabSize}.",
            spec.ModelFrom is null ? $"Write at least {ByteVocabulary}." : "Name the tokenizer.json that belongs to the model.",
                ["data.tokenizer", "model.preset", "model.vocabSize", "model.from"]);
        Recovery(spec, reading);
        Store(spec, reading);
        for (int i = 0; i < spec.Stages.Length; i++)
        {
            string at = $"stages[{i}]";
            Names(spec, i, at, reading);
            Layout(spec, spec.Stages[i], at, reading);
            GangChecks.Check(spec, spec.Stages[i], at, reading);
            if (reading.Sound($"{at}.from") && reading.Sound($"{at}.name") && reading.Sound($"{at}.kind"))
            {
                StageChecks.Check(spec, spec.Stages[i], at, reading);
                LossSpikeChecks.Check(spec, spec.Stages[i], at, reading);
            }
        }
    }

    private static void Store(PipelineSpec spec, Reading reading)
    {
        if (reading.Stores is not { WithoutKeys: { } lack } stores || stores.Usual.For(spec.Checkpoints.Store) is not { } store)
        {
            return;
        }
        string whose = spec.Checkpoints.Store.Length > 0 ? $"Checkpoints go to {store.Uri}"
            : $"By the cluster's settings checkpoints go to {store.Uri}";
        reading.Check(false, "checkpoints.store", $"{whose}, and {lack.What}", $"{lack.Fix} Or write 'store: none'.", []);
    }

    public static void Model(ModelShape model, string at, Reading reading)
    {
        void Fits(bool fits, string field, string message, string fix, params string[] with) =>
            reading.Check(fits, $"{at}.{field}", message, fix, [$"{at}.preset", .. with.Select(w => $"{at}.{w}")]);

        Fits(model.DenseLayers <= model.Layers, "denseLayers", $"{model.DenseLayers} of {model.Layers} layers cannot be dense.",
            $"Write at most {model.Layers}.", "layers");
        Fits(model.QkRopeHeadDim % 2 == 0, "qkRopeHeadDim", "Rotary position turns pairs, and the number is odd.", "Write an even number.");
        if (model.DenseLayers >= model.Layers)
        {
            return;
        }
        Fits(((long)model.Layers + model.MtpDepth) * model.RoutedExperts <= ShapeLimits.ExpertsOfAllLayers, "routedExperts",
            $"{model.RoutedExperts:N0} experts in each of {model.Layers} layers are more than {ShapeLimits.ExpertsOfAllLayers:N0} in all.",
            "Write fewer.", "layers", "mtpDepth");
        bool whole = model.RoutedExperts % model.Groups == 0;
        Fits(whole, "groups", $"{model.RoutedExperts} experts cannot be dealt into {model.Groups} equal groups.",
            $"Write a divisor of {model.RoutedExperts}.", "routedExperts");
        Fits(model.LimitedGroups <= model.Groups, "limitedGroups", $"A token cannot use {model.LimitedGroups} of {model.Groups} groups.",
            $"Write at most {model.Groups}.", "groups");
        int perGroup = model.RoutedExperts / model.Groups;
        Fits(!whole || model.ActiveExperts <= (long)model.LimitedGroups * perGroup, "activeExperts",
            $"{model.ActiveExperts} experts per token, but its {model.LimitedGroups} groups of {perGroup} have only "
                + $"{(long)model.LimitedGroups * perGroup}.",
            "Write fewer, or more groups per token.", "routedExperts", "groups", "limitedGroups");
        Fits(!whole || model.TopkMethod != TopkMethod.NoauxTc || perGroup >= 2 || model.Groups == 1, "groups",
            "A group is chosen by the sum of its two best experts, and these groups have one.",
                $"Write at most {Math.Max(1, model.RoutedExperts / 2)} groups.", "routedExperts");
    }

    private static void Recovery(PipelineSpec spec, Reading reading)
    {
        reading.Check(spec.Recovery.BackOffBase <= spec.Recovery.BackOffMax, "recovery.backOffMax",
            $"The longest wait is shorter than the first ({DurationNotation.Short(spec.Recovery.BackOffBase)}).", "Write at least as much.",
                ["recovery.backOffBase"]);
        reading.Check(spec.Recovery.HangFloor <= spec.Recovery.HangLimitBeforeFirstStep, "recovery.hangLimitBeforeFirstStep",
            $"A rank that was never timed would hang sooner than one that was ({DurationNotation.Short(spec.Recovery.HangFloor)}).",
                "Write at least as much as hangFloor.", ["recovery.hangFloor"]);
    }

    private static void Names(PipelineSpec spec, int index, string at, Reading reading)
    {
        var stage = spec.Stages[index];
        string[] before = [.. spec.Stages.Take(index).Select(s => s.Name).Where(n => n.Length > 0)];
        string earlier = before.Length == 0 ? "There is no earlier stage; leave it out."
            : $"Earlier stages are: {string.Join(", ", before)}.";
        reading.Check(stage.Name.Length == 0 || !before.Contains(stage.Name), $"{at}.name", $"There is a stage '{stage.Name}' already.",
            "Give each stage a name of its own.", []);
        reading.Check(stage.BeginFrom.Length == 0 || before.Contains(stage.BeginFrom), $"{at}.from",
            $"'{stage.BeginFrom}' is not an earlier stage.", earlier, []);
        if (stage.Recipe.SecondOrigin() is { Length: > 0 } from)
        {
            reading.Check(before.Contains(from), $"{at}.studentFrom", $"'{from}' is not an earlier stage.", earlier, []);
        }
        for (int g = 0; g < stage.Gates.Length; g++)
        {
            if (stage.Gates[g] is Gate.Metric gate)
            {
                string place = stage.Gates.Length == 1 ? $"{at}.gate" : $"{at}.gate[{g}]";
                reading.Check(before.Contains(gate.Stage), place, gate.Stage.Length == 0
                    ? "The first stage has none before it whose metric could count."
                    : $"The gate waits for '{gate.Stage}', which is not an earlier stage.", earlier, []);
                reading.Check(gate.Below is not null || gate.Above is not null, place, "The gate has no limit.",
                    "Add 'below:' or 'above:' with a number.", []);
                reading.Check(!(gate.Below <= gate.Above), place, $"Nothing is above {gate.Above} and below {gate.Below}.",
                    "Turn the limits round.", []);
            }
        }
    }

    private static void Layout(PipelineSpec spec, StageSpec stage, string at, Reading reading)
    {
        var layout = spec.ParallelismOf(stage);
        int ranks = spec.ResourcesOf(stage).Ranks;
        string where = stage.Parallelism is not null ? $"{at}.parallelism" : "parallelism";
        string[] with = ["resources", $"{at}.resources", "parallelism", "model"];
        void Fits(bool fits, string field, string message, string fix) => reading.Check(fits, $"{where}.{field}", message, fix, with);

        long cut = (long)layout.Pipeline * layout.Tensor;
        Fits(ranks % cut == 0,
            "pipeline", $"{ranks} ranks of stage '{stage.Name}' cannot be cut into pipelines of {layout.Pipeline} × {layout.Tensor}.",
            $"Write divisors of {ranks}.");
        if (ranks % cut != 0)
        {
            return;
        }
        var model = spec.ShapeBefore(stage);
        Fits(ranks / layout.Pipeline % layout.Expert == 0, "expert",
            $"{ranks / layout.Pipeline} ranks of a pipeline stage cannot be dealt into expert groups of {layout.Expert}.",
            $"Write a divisor of {ranks / layout.Pipeline}.");
        Fits(model.RoutedExperts % layout.Expert == 0,
            "expert", $"{model.RoutedExperts} experts cannot be dealt to {layout.Expert} ranks evenly.",
            $"Write a divisor of {model.RoutedExperts}.");
        Fits(model.Heads % layout.Tensor == 0, "tensor", $"{model.Heads} heads cannot be cut into {layout.Tensor} equal parts.",
            $"Write a divisor of {model.Heads}.");
        if (PipelineSchedules.LayoutProblem(layout.Schedule, layout.Pipeline, model.Layers) is { } problem)
        {
            Fits(false, problem.Field, problem.Message, problem.Fix);
        }
    }
}
