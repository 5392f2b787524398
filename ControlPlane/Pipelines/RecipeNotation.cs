using System.Collections.Immutable;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Recipes.Schedules;
using static DeepSeekOps.Decisions.Recipes.StageRecipe;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>One table per kind of stage.</summary>
internal static class RecipeNotation
{
    private static readonly Notation<int> Instances = Spell.Int(1, 2_000_000_000);

    private static readonly Notation<double> Positive = new RealNotation(0, 1000, aboveMin: true);

    private static readonly Mapping<ContextPhase> Phase = new Mapping<ContextPhase>("a context phase", new ContextPhase())
        .With("name", Spell.Anything, p => p.Name, (p, v) => p with { Name = v }, "The phase's name, once in a stage.", required: true)
        .With("sequenceLength", Spell.SequenceLength, p => p.SequenceLength, (p, v) => p with { SequenceLength = v },
            "Tokens per sequence.", required: true)
        .With("steps", new CountNotation(1, 100_000_000), p => p.Steps, (p, v) => p with { Steps = v }, "Optimizer steps.", required: true)
        .With("batchSize", Spell.Batch, p => p.BatchSize, (p, v) => p with { BatchSize = v }, "Sequences per step.", required: true)
        .With("learningRate", Spell.LearningRate, p => p.LearningRate, (p, v) => p with { LearningRate = v },
            "A rate, or pieces over the phase's own steps.", required: true)
        .MaybeRecord("yarn", Spell.Yarn, p => p.Yarn, (p, v) => p with { Yarn = v }, "Stretching of positions in this phase and after it.")
        .With("contextParallel", Spell.Int(1, 100_000), p => p.ContextParallel, (p, v) => p with { ContextParallel = v },
            "Ranks that share one sequence.");

    public static Mapping<Pretraining> Pretraining { get; } = new Mapping<Pretraining>("a pretraining stage", new Pretraining())
        .With("tokens", Spell.Tokens, s => s.Tokens, (s, v) => s with { Tokens = v }, "Tokens to train on; whole sequences.",
            required: true)
        .With("sequenceLength", Spell.SequenceLength, s => s.SequenceLength, (s, v) => s with { SequenceLength = v },
            "Tokens per sequence.", required: true)
        .With("batchSize", Spell.BatchRamp, s => s.BatchSize, (s, v) => s with { BatchSize = v }, "Sequences per step, or a ramp of them.",
            required: true)
        .With("learningRate", Spell.LearningRate, s => s.LearningRate, (s, v) => s with { LearningRate = v },
            "A rate, or pieces over tokens or steps.", required: true)
        .With("gamma", Spell.Milestone, s => s.Gamma, (s, v) => s with { Gamma = v }, "Speed of the bias update that balances the experts.")
        .With("alpha", Spell.Weight, s => s.Alpha, (s, v) => s with { Alpha = v }, "Weight of the sequence-wise balance loss.")
        .With("lambda", Spell.Milestone, s => s.Lambda, (s, v) => s with { Lambda = v }, "Weight of the multi-token prediction loss.")
        .With("ema", new RealNotation(0, 0.9999999), s => s.EmaDecay, (s, v) => s with { EmaDecay = v },
            "Decay of the moving average of the weights; 0: none.")
        .With("data", Spell.Anything, s => s.Data, (s, v) => s with { Data = v },
            "What this stage reads: .txt and .jsonl files, or a folder of `dsops data prepare`; left out: the data source.");

    public static Mapping<ContextExtension> ContextExtension { get; } =
        new Mapping<ContextExtension>("a context extension", new ContextExtension())
        .With("phases", new ListNotation<ContextPhase>(Phase, 1, 16, "phases"), s => s.Phases, (s, v) => s with { Phases = v },
            "The lengths, shortest first.", required: true)
        .With("gamma", Spell.Weight, s => s.Gamma, (s, v) => s with { Gamma = v }, "Speed of the bias update that balances the experts.")
        .With("alpha", Spell.Weight, s => s.Alpha, (s, v) => s with { Alpha = v }, "Weight of the sequence-wise balance loss.")
        .With("lambda", Spell.Weight, s => s.Lambda, (s, v) => s with { Lambda = v }, "Weight of the multi-token prediction loss.")
        .With("data", Spell.Anything, s => s.Data, (s, v) => s with { Data = v },
            "What this stage reads: .txt and .jsonl files, or a folder of `dsops data prepare`; left out: the data source.");

    public static Mapping<SupervisedFineTuning> SupervisedFineTuning { get; } = new Mapping<SupervisedFineTuning>("supervised fine-tuning",
        new SupervisedFineTuning())
        .With("instances", Instances, s => s.Instances, (s, v) => s with { Instances = v }, "Question and answer pairs.", required: true)
        .With("epochs", Spell.Int(1, 10_000), s => s.Epochs, (s, v) => s with { Epochs = v }, "Times that each is learnt.")
        .With("sequenceLength", Spell.SequenceLength, s => s.SequenceLength, (s, v) => s with { SequenceLength = v },
            "Tokens per packed row.", required: true)
        .With("batchSize", Spell.Batch, s => s.BatchSize, (s, v) => s with { BatchSize = v }, "Instances per step.", required: true)
        .With("learningRate", Spell.LearningRate, s => s.LearningRate, (s, v) => s with { LearningRate = v },
            "A rate, or pieces over steps.", required: true)
        .With("lambda", Spell.Weight, s => s.Lambda, (s, v) => s with { Lambda = v },
            "Weight of the multi-token prediction loss over the answers; 0: the MTP modules fall behind the model.")
        .With("data", Spell.Anything, s => s.Data, (s, v) => s with { Data = v },
            "A .jsonl of {question, answer} or {messages}, of any number of turns; left out: the data source's own questions.");

    public static Mapping<ReinforcementLearning> ReinforcementLearning { get; } =
        new Mapping<ReinforcementLearning>("reinforcement learning",
        new ReinforcementLearning())
        .With("steps", new CountNotation(1, 100_000_000), s => s.Steps, (s, v) => s with { Steps = v },
            "Rollouts, each followed by its updates.",
            required: true)
        .With("questions", Instances, s => s.Questions, (s, v) => s with { Questions = v }, "Questions per step.", required: true)
        .With("groupSize", Spell.Int(2, 100_000), s => s.GroupSize, (s, v) => s with { GroupSize = v },
            "Outputs per question, whose rewards are compared.", required: true)
        .With("maxNewTokens", Spell.Int(1, 10_000_000), s => s.MaxNewTokens, (s, v) => s with { MaxNewTokens = v }, "Longest output.",
            required: true)
        .With("temperature", Positive, s => s.Temperature, (s, v) => s with { Temperature = v }, "Of the sampling.")
        .With("clip", Positive, s => s.ClipEpsilon, (s, v) => s with { ClipEpsilon = v },
            "Limit of the probability ratio's distance from one.")
        .With("klBeta", Spell.Weight, s => s.KlBeta, (s, v) => s with { KlBeta = v }, "Weight of the distance from the reference model.")
        .With("verifier", Spell.Verifier, s => s.Verifier, (s, v) => s with { Verifier = v }, "The rule that gives the reward.")
        .With("learningRate", Spell.LearningRate, s => s.LearningRate, (s, v) => s with { LearningRate = v },
            "A rate, or pieces over steps.", required: true)
        .With("referenceEvery", Spell.Int(0, 100_000_000), s => s.ReferenceEvery, (s, v) => s with { ReferenceEvery = v },
            "Steps after which the policy becomes the reference; 0: never.")
        .With("miniBatch", Spell.Int(0, 100_000_000), s => s.MiniBatch, (s, v) => s with { MiniBatch = v },
            "Sequences per update; 0: the whole rollout at once.");

    public static Mapping<Distillation> Distillation { get; } = new Mapping<Distillation>("a distillation", new Distillation())
        .MaybeRecord("student", new ModelNotation(), s => s.Student, (s, v) => s with { Student = v },
            "The student's shape; the teacher's own, if left out.")
        .With("studentFrom", Spell.Name, s => s.StudentFrom, (s, v) => s with { StudentFrom = v },
            "Earlier stage whose weights the student begins with; random, if left out.")
        .With("samples", Instances, s => s.Samples, (s, v) => s with { Samples = v }, "Drawn from the teacher.", required: true)
        .With("epochs", Spell.Int(1, 10_000), s => s.Epochs, (s, v) => s with { Epochs = v }, "Times that each is learnt.")
        .With("sequenceLength", Spell.SequenceLength, s => s.SequenceLength, (s, v) => s with { SequenceLength = v },
            "Tokens per packed row.", required: true)
        .With("batchSize", Spell.Batch, s => s.BatchSize, (s, v) => s with { BatchSize = v }, "Samples per step.", required: true)
        .With("learningRate", Spell.LearningRate, s => s.LearningRate, (s, v) => s with { LearningRate = v },
            "A rate, or pieces over steps.", required: true)
        .With("logitWeight", Spell.Share, s => s.LogitWeight, (s, v) => s with { LogitWeight = v },
            "Weight of the teacher's distribution beside its words.")
        .With("temperature", Positive, s => s.Temperature, (s, v) => s with { Temperature = v },
            "Of both distributions, and of the teacher's sampling.")
        .With("verifier", Spell.Verifier, s => s.Verifier, (s, v) => s with { Verifier = v }, "The rule that drops wrong samples.")
        .With("lambda", Spell.Weight, s => s.Lambda, (s, v) => s with { Lambda = v },
            "Weight of the student's multi-token prediction loss; 0: its MTP modules stay as they began.")
        .With("measureUndistilled", new FlagNotation(), s => s.MeasureUndistilled, (s, v) => s with { MeasureUndistilled = v },
            "Trains the student again without the teacher, for as many steps on the same problems, to compare.");
}
