using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>The table of a whole pipeline. Stages come last: they may say how they differ from what stands before.</summary>
internal static class PipelineNotation
{
    public const string ApiVersionKey = "apiVersion";

    public static ChoiceNotation<string> ApiVersion { get; } = new(("deepseekops/v1", "deepseekops/v1"));

    private static readonly TimeSpan Day = TimeSpan.FromDays(1);

    private static Notation<TimeSpan> UpToADay { get; } = Spell.Duration(TimeSpan.FromMilliseconds(100), Day);

    private static Mapping<DataSpec> Data { get; } = new Mapping<DataSpec>("data", new DataSpec())
        .With("source", Spell.Anything, d => d.Source, (d, v) => d with { Source = v },
            "builtin:arithmetic, .txt and .jsonl files separated by commas, or a folder of `dsops data prepare`.",
            always: true)
        .With("tokenizer", Spell.Anything, d => d.Tokenizer, (d, v) => d with { Tokenizer = v },
            "byte, or a Hugging Face tokenizer.json. Left out: byte, or the tokenizer.json beside the weights of model.from.", always: true)
        .With("fimRate", Spell.Share, d => d.FimRate, (d, v) => d with { FimRate = v },
            "Share of documents rearranged as fill-in-the-middle.")
        .With("heldout", Spell.Int(0, 1_000_000), d => d.Heldout, (d, v) => d with { Heldout = v }, "Problems kept for evaluation.");

    private static Mapping<AdamW> Optimizer { get; } = new Mapping<AdamW>("an optimizer", new AdamW())
        .With("beta1", new RealNotation(0, 0.999999), o => o.Beta1, (o, v) => o with { Beta1 = v }, "Decay of the first moment.")
        .With("beta2", new RealNotation(0, 0.999999), o => o.Beta2, (o, v) => o with { Beta2 = v }, "Decay of the second moment.")
        .With("epsilon", new RealNotation(0, 1, aboveMin: true), o => o.Epsilon, (o, v) => o with { Epsilon = v },
            "Added to the root of the second moment.")
        .With("weightDecay", new RealNotation(0, 10), o => o.WeightDecay, (o, v) => o with { WeightDecay = v }, "Decoupled weight decay.")
        .With("gradClip", new RealNotation(0, 1e6, aboveMin: true), o => o.GradClip, (o, v) => o with { GradClip = v },
            "Largest norm of the gradient.")
        .With("bf16Moments", new FlagNotation(), o => o.Bf16Moments, (o, v) => o with { Bf16Moments = v },
            "Moments in BF16 instead of FP32.");

    private static Mapping<RecoveryPolicy> Recovery { get; } = new Mapping<RecoveryPolicy>("a recovery policy", new RecoveryPolicy())
        .With("maxRestarts", Spell.Int(0, 1_000_000), r => r.MaxRestarts, (r, v) => r with { MaxRestarts = v },
            "Restarts of one cause, within the window and without a new checkpoint, before the stage fails.")
        .With("window", Spell.Duration(TimeSpan.FromSeconds(1), 366 * Day), r => r.Window, (r, v) => r with { Window = v },
            "How far back restarts count.")
        .With("maxSameFault", Spell.Int(1, 1_000_000), r => r.MaxSameFault, (r, v) => r with { MaxSameFault = v },
            "Launches that may end by the same fault of the program without a new checkpoint.")
        .With("breakForgottenAfter", Spell.Int(1, 1_000_000_000), r => r.BreakForgottenAfter, (r, v) => r with { BreakForgottenAfter = v },
            "Steps after which a number that was not finite is forgotten; a second one sooner fails the stage.")
        .With("backOffBase", Spell.Duration(TimeSpan.Zero, Day), r => r.BackOffBase, (r, v) => r with { BackOffBase = v },
            "Wait before the launch after one that made no step; doubles each time.")
        .With("backOffMax", Spell.Duration(TimeSpan.Zero, Day), r => r.BackOffMax, (r, v) => r with { BackOffMax = v },
            "The longest such wait.")
        .With("hangFactor", new RealNotation(1, 10_000), r => r.HangFactor, (r, v) => r with { HangFactor = v },
            "A rank counts as hung after this many times its longest step without progress.")
        .With("hangFloor", UpToADay, r => r.HangFloor, (r, v) => r with { HangFloor = v }, "But never before this.")
        .With("hangLimitBeforeFirstStep", UpToADay, r => r.HangLimitBeforeFirstStep, (r, v) => r with { HangLimitBeforeFirstStep = v },
            "Limit for a rank whose steps have not been timed yet.").Formerly("hangUnlearnt")
        .With("startWithin", UpToADay, r => r.StartWithin, (r, v) => r with { StartWithin = v },
            "From the pods' creation to the first step.")
        .With("podMissingFor", UpToADay, r => r.PodMissingFor, (r, v) => r with { PodMissingFor = v },
            "A pod that the cluster does not list and whose agent is silent is gone after this.")
        .With("nodeNotReadyFor", UpToADay, r => r.NodeNotReadyFor, (r, v) => r with { NodeNotReadyFor = v },
            "A node that is not ready and whose agent is silent is lost after this.")
        .With("silentFor", UpToADay, r => r.SilentFor, (r, v) => r with { SilentFor = v },
            "An agent that is silent although its pod runs is lost after this.")
        .With("unknownAfter", UpToADay, r => r.UnknownAfter, (r, v) => r with { UnknownAfter = v },
            "Without a beat for this long a rank is shown as unknown.")
        .With("saveWithin", UpToADay, r => r.SaveWithin, (r, v) => r with { SaveWithin = v },
            "Time that a gang has to save when it is paused.")
        .With("shrink", new FlagNotation(), r => r.Shrink, (r, v) => r with { Shrink = v },
            "A gang that lost a node, where no other is free, goes on with fewer.")
        .With("growAfter", UpToADay, r => r.GrowAfter, (r, v) => r with { GrowAfter = v },
            "How long there has to be room for all of its nodes before it grows back.")
        .With("checkSteps", Spell.Int(0, 1_000), r => r.CheckSteps, (r, v) => r with { CheckSteps = v },
            "Steps of all ranks that check new nodes of a gang before its stage counts as training; 0: none do.")
        .With("checkFrom", Spell.Duration(TimeSpan.Zero, 366 * Day), r => r.CheckFrom, (r, v) => r with { CheckFrom = v },
            "Only where the plan gives the stage so much time still; 0s: always.");

    private static Mapping<LossSpikes> LossSpikes { get; } = new Mapping<LossSpikes>("what is done about loss spikes", new LossSpikes())
        .With("mode", new ChoiceNotation<LossSpikeMode>(("advise", LossSpikeMode.Advise), ("act", LossSpikeMode.Act)), s => s.Mode,
            (s, v) => s with { Mode = v }, "advise: say what would be done. act: do it.")
        .With("policy", new ChoiceNotation<LossSpikePolicy>([.. Decisions.Recipes.LossSpikes.Policies]), s => s.Policy,
            (s, v) => s with { Policy = v },
            "What is done about a loss that rose and stayed up: told; batches skipped; rolled back and batches skipped; "
                + "rolled back and the rate lowered; the run held.")
        .With("skipBatches", Spell.Int(1, 1_000_000), s => s.SkipBatches, (s, v) => s with { SkipBatches = v },
            "Batches that are left out from the rise on; more where it took longer to judge.")
        .With("rateFactor", new RealNotation(0, 0.99, aboveMin: true), s => s.RateFactor, (s, v) => s with { RateFactor = v },
            "With lowerRate: what the learning rate is multiplied by.")
        .With("rateSteps", Spell.Int(1, 100_000_000), s => s.RateSteps, (s, v) => s with { RateSteps = v },
            "With lowerRate: for this many steps, then back.")
        .With("maxActs", Spell.Int(1, 1_000), s => s.MaxActs, (s, v) => s with { MaxActs = v },
            "Acts within 'withinSteps'; instead of one more the run is held for a person.")
        .With("withinSteps", Spell.Int(1, 100_000_000), s => s.WithinSteps, (s, v) => s with { WithinSteps = v },
            "How far back acts count.");

    public static ChoiceNotation<Priority> PriorityWords { get; } =
        new(("low", Priority.Low), ("normal", Priority.Normal), ("high", Priority.High), ("urgent", Priority.Urgent));

    public static ChoiceNotation<Precision> PrecisionWords { get; } =
        new(("fp32", Precision.Fp32), ("bf16", Precision.Bf16), ("fp8", Precision.Fp8));

    public static StageNotation Stage { get; } = new();

    public static Mapping<PipelineSpec> Pipeline { get; } = new Mapping<PipelineSpec>("a pipeline", new PipelineSpec())
        .With(ApiVersionKey, ApiVersion, _ => "deepseekops/v1", (p, _) => p, "Version of this form.", required: true)
        .With("name", Spell.Name, p => p.Name, (p, v) => p with { Name = v }, "The run's name and its key: the same again is the same run.",
            required: true)
        .With("team", Spell.Name, p => p.Team, (p, v) => p with { Team = v }, "Whose quota it uses.")
        .With("priority", PriorityWords, p => p.Priority, (p, v) => p with { Priority = v }, "Which gang goes first.")
        .With("seed", new CountNotation(0, long.MaxValue), p => p.Seed, (p, v) => p with { Seed = v }, "Everything random grows from it.",
            always: true)
        .With("precision", PrecisionWords, p => p.Precision, (p, v) => p with { Precision = v }, "Numerics of the matrix products.")
        .With("model", new InitialModelNotation(), p => new InitialModel(p.Model, p.ModelFrom),
            (p, v) => p with { Model = v.Shape, ModelFrom = v.From },
            "The model that is trained.", required: true)
        .With("data", Data, p => p.Data, (p, v) => p with { Data = v }, "What it is trained on.", always: true)
        .With("optimizer", Optimizer, p => p.Optimizer, (p, v) => p with { Optimizer = v }, "AdamW and the gradient clip.")
        .With("resources", Spell.Resources, p => p.Resources, (p, v) => p with { Resources = v }, "The machines of each stage.")
        .With("parallelism", Spell.Parallelism, p => p.Parallelism, (p, v) => p with { Parallelism = v },
            "How the model is spread over them.")
        .With("checkpoints", Spell.Checkpoints, p => p.Checkpoints, (p, v) => p with { Checkpoints = v }, "When weights are saved.")
        .With("recovery", Recovery, p => p.Recovery, (p, v) => p with { Recovery = v },
            "When a stage is brought back, and when it is given up.")
        .With("lossSpikes", LossSpikes, p => p.LossSpikes, (p, v) => p with { LossSpikes = v },
            "What is done by itself about a loss that rises and stays up.")
        .With("stages", new ListNotation<StageSpec>(Stage, 1, 64, "stages"), p => p.Stages, (p, v) => p with { Stages = v },
            "What is done, in order.", required: true);

    /// <summary>All tables, for docs/pipeline.md.</summary>
    public static IEnumerable<(string Title, IEnumerable<(string Name, string InWords, bool Required, string Doc)> Fields)> Tables =>
    [
        ("pipeline", Lines(Pipeline)), ("model", InitialModelNotation.Fields), ("data", Lines(Data)), ("optimizer", Lines(Optimizer)),
        ("resources", Lines(Spell.Resources)), ("parallelism", Lines(Spell.Parallelism)),
        ("checkpoints", Lines(Spell.Checkpoints)), ("recovery", Lines(Recovery)), ("lossSpikes", Lines(LossSpikes)),
        .. StageNotation.Tables.Select(t => ($"stages: {t.Kind}", t.Fields)),
    ];

    private static IEnumerable<(string, string, bool, string)> Lines<T>(Mapping<T> table)
        where T : class => table.Fields.Select(f => (f.Name, f.InWords, f.Required, f.Doc));
}
