using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>What the fields of one stage say together.</summary>
internal static class StageChecks
{
    /// <summary>More steps than any run makes; a stage with more has a slip in its numbers.</summary>
    private const long StepsMax = 100_000_000;

    /// <summary>The FP8 tile of the report (section 3.3.2).</summary>
    internal const int Fp8Tile = 128;

    public static void Check(PipelineSpec spec, StageSpec stage, string at, Reading reading)
    {
        var scope = new Scope(spec, stage, at, reading);
        stage.Recipe.Match<Action>(
            pretraining => () => Pretraining(pretraining, scope),
            extension => () => ContextExtension(extension, scope),
            sft => () => FineTuning(sft, scope),
            rl => () => ReinforcementLearning(rl, scope),
            distillation => () => Distillation(distillation, scope))();
        bool random = reading.Sound("stages") && reading.Sound("model") && spec.Origin(stage) is null && spec.ModelFrom is null;
        scope.Fits(!random || stage.Recipe.BeginsAtRandom, "kind",
            $"A {stage.Kind} stage cannot be the first: there are no weights to begin with.",
            "Put a pretraining stage before it, or name a folder of weights in 'model.from'.");
        long steps = scope.AllSound ? stage.Recipe.Length().Steps : long.MaxValue;
        scope.Warn(!reading.Sound("checkpoints") || spec.CheckpointsOf(stage).EverySteps <= steps, "name",
            $"'{stage.Name}' has {steps} {(steps == 1 ? "step" : "steps")} and saves every {spec.CheckpointsOf(stage).EverySteps}: "
                + "only its end is saved, and a failure begins it again.",
            "Save more often in this stage: add 'checkpoints: {everySteps: …}'.");
        scope.Fits(spec.CheckpointsOf(stage).Store == spec.Checkpoints.Store, "checkpoints.store",
            $"Stage '{stage.Name}' would have another store than the pipeline, and the next stage begins from what it hands on.",
            "Write it once, under the pipeline's 'checkpoints'.");
    }

    private static void Pretraining(StageRecipe.Pretraining p, Scope scope)
    {
        scope.Length(p.SequenceLength, "");
        long whole = p.SequenceLength == 0 ? 0 : p.Tokens % p.SequenceLength;
        scope.Fits(whole == 0, "sequenceLength",
            $"{CountNotation.Short(p.Tokens)} tokens are not a whole number of sequences of {p.SequenceLength}: the "
                + "length does not divide them.",
            $"Write a length that divides {CountNotation.Short(p.Tokens)}, or {p.Tokens - whole + p.SequenceLength} tokens.", "tokens");
        var batch = p.BatchSize;
        scope.Fits(batch.From <= batch.To, "batchSize", $"The batch falls from {batch.From} to {batch.To}.",
            "Write 'from' no larger than 'to'.");
        scope.Fits(batch.OverTokens <= p.Tokens,
            "batchSize", $"The ramp of {CountNotation.Short(batch.OverTokens)} tokens is longer than the stage.",
            $"Write at most {CountNotation.Short(p.Tokens)}.", "tokens");
        scope.Fits(batch.From % batch.Grain() == 0 && batch.To % batch.Grain() == 0, "batchSize",
            $"{batch.From} and {batch.To} sequences are not multiples of {batch.Grain()}.",
            $"Write a divisor of both, or leave '{(batch.MultipleOf > 0 ? "multipleOf" : "micro")}' out.");
        scope.Batch(batch.From, 1, "batchSize");
        scope.Batch(batch.To, 1, "batchSize");
        long perStep = Math.Max(1, (long)batch.From * p.SequenceLength);
        bool countable = p.Tokens / perStep <= StepsMax;
        scope.Fits(countable, "tokens",
            $"{CountNotation.Short(p.Tokens)} tokens are {p.Tokens / perStep:N0} steps of {batch.From} × {p.SequenceLength}.",
            "Look at the suffixes, or raise the batch.", "batchSize", "sequenceLength");
        scope.Warn(p.Gamma.AtTokens <= p.Tokens, "gamma", "The milestone is after the end of the stage and is never reached.",
            $"Write at most {CountNotation.Short(p.Tokens)}.", "tokens");
        scope.Warn(p.Lambda.AtTokens <= p.Tokens, "lambda", "The milestone is after the end of the stage and is never reached.",
            $"Write at most {CountNotation.Short(p.Tokens)}.", "tokens");
        if (countable && scope.Sound("tokens", "sequenceLength", "batchSize"))
        {
            Pieces(p.LearningRate, "learningRate", p.Length().Steps, p.Tokens, p, scope);
        }
    }

    private static void ContextExtension(StageRecipe.ContextExtension extension, Scope scope)
    {
        int length = 0;
        foreach (var (phase, i) in extension.Phases.Select((p, i) => (p, i)))
        {
            string at = $"phases[{i}]";
            int before = Math.Max(length, i == 0 && scope.ModelSound ? scope.Context : 0);
            scope.Length(phase.SequenceLength, $"{at}.");
            scope.Fits(phase.SequenceLength > before, $"{at}.sequenceLength", $"{phase.SequenceLength} does not extend {before}.",
                $"Write more than {before}; shortest phase first.", "phases");
            scope.Fits(!extension.Phases.Take(i).Any(p => p.Name == phase.Name), $"{at}.name", $"There is a phase '{phase.Name}' already.",
                "Give each phase a name of its own.");
            if (phase.Yarn is { } yarn)
            {
                scope.Fits(yarn.Factor * yarn.OriginalLength >= phase.SequenceLength, $"{at}.yarn",
                    $"Stretched by {yarn.Factor} from {yarn.OriginalLength}, positions reach {yarn.Factor * yarn.OriginalLength:0}, "
                        + $"not {phase.SequenceLength}.",
                    $"Write a factor of at least {(double)phase.SequenceLength / Math.Max(1, yarn.OriginalLength):0.##}.",
                    $"{at}.sequenceLength");
            }
            scope.Fits(phase.SequenceLength % phase.ContextParallel == 0, $"{at}.contextParallel",
                $"{phase.SequenceLength} tokens cannot be cut into {phase.ContextParallel} equal parts.",
                $"Write a divisor of {phase.SequenceLength}.", $"{at}.sequenceLength");
            scope.Batch(phase.BatchSize, phase.ContextParallel, $"{at}.batchSize", $"{at}.contextParallel");
            Pieces(phase.LearningRate, $"{at}.learningRate", phase.Steps, phase.Steps * phase.BatchSize * phase.SequenceLength, null,
                scope);
            length = phase.SequenceLength;
        }
    }

    private static void FineTuning(StageRecipe.SupervisedFineTuning sft, Scope scope)
    {
        scope.Length(sft.SequenceLength, "");
        Instances(sft.Instances, sft.BatchSize, sft.LearningRate, scope);
    }

    private static void Instances(int count, int batch, LearningRate rate, Scope scope)
    {
        scope.Fits(batch <= count, "batchSize", $"A step takes {batch}, but there are only {count}.", $"Write at most {count}.",
            "instances", "samples");
        if (scope.AllSound)
        {
            Pieces(rate, "learningRate", scope.Stage.Recipe.Length().Steps, null, null, scope);
        }
    }

    private static void ReinforcementLearning(StageRecipe.ReinforcementLearning rl, Scope scope)
    {
        long rollout = (long)rl.Questions * rl.GroupSize;
        scope.Fits(rl.MiniBatch == 0 || rollout % rl.MiniBatch == 0, "miniBatch",
            $"{rollout} outputs of a rollout are not whole mini-batches of {rl.MiniBatch}.", $"Write a divisor of {rollout}.", "questions",
            "groupSize");
        // Of other data and tokenizers only the rank knows how long a question is; it has at least one token and three marks.
        bool builtin = scope.Pipeline.Data is { Tokenizer: "byte" } data && data.Source.StartsWith("builtin:", StringComparison.Ordinal);
        int question = builtin ? BuiltinData.LongestPrompt : 4;
        scope.Fits(!scope.ModelSound || rl.MaxNewTokens + question <= scope.Context, "maxNewTokens",
            $"Outputs of {rl.MaxNewTokens} tokens do not fit with a question of up to {question} into the model's {scope.Context}.",
            scope.Context > question ? $"Write at most {scope.Context - question}." : "Extend the model's context first.");
        Pieces(rl.LearningRate, "learningRate", rl.Steps, null, null, scope);
        Verifier(rl.Verifier, scope);
    }

    private static void Distillation(StageRecipe.Distillation d, Scope scope)
    {
        scope.Length(d.SequenceLength, "");
        Instances(d.Samples, d.BatchSize, d.LearningRate, scope);
        Verifier(d.Verifier, scope);
        if (d.Student is { } student)
        {
            PipelineChecks.Model(student, $"{scope.At}.student", scope.Reading);
            var teacher = scope.Pipeline.ShapeBefore(scope.Stage);
            scope.Fits(!scope.ModelSound || student.VocabSize == teacher.VocabSize, "student",
                $"The student knows {student.VocabSize} tokens, the teacher {teacher.VocabSize}.",
                $"Write 'vocabSize: {teacher.VocabSize}' in the student.");
        }
        if (scope.Pipeline.Earlier(scope.Stage, d.StudentFrom) is { } from)
        {
            scope.Fits(!scope.ModelSound || (d.Student ?? scope.Pipeline.ShapeBefore(scope.Stage)) == scope.Pipeline.ShapeAfter(from),
                "studentFrom",
                $"The weights of '{d.StudentFrom}' have another shape than the student.",
                "Give the student that shape, or leave 'studentFrom' out.",
                "student");
        }
    }

    private static void Verifier(string verifier, Scope scope) =>
        scope.Warn(verifier != "arithmetic" || scope.Pipeline.Data.Source.StartsWith("builtin:", StringComparison.Ordinal), "verifier",
            "The arithmetic rule judges the built-in problems; on other data it seldom finds an answer.", "Write 'exact' or 'boxed'.");

    /// <param name="tokens">Tokens of the stage, where a piece may end at tokens.</param>
    /// <param name="ramp">Pretraining: how many tokens a step has, to compare pieces that end at a step with those that end at
    /// tokens.</param>
    private static void Pieces(LearningRate rate, string field, long steps, long? tokens, StageRecipe.Pretraining? ramp, Scope scope)
    {
        double last = 0;
        for (int i = 0; i < rate.Pieces.Length; i++)
        {
            var piece = rate.Pieces[i];
            string at = $"{field}[{i}]";
            bool final = i == rate.Pieces.Length - 1;
            bool one = piece.UntilTokens is null ^ piece.UntilStep is null;
            scope.Fits(one || (final && piece.UntilTokens is null), at,
                piece.UntilTokens is null ? "The piece has no end, and another follows."
                : "The piece has two ends.", "Write 'until:' with tokens, or 'untilStep:', not both.");
            scope.Fits(piece.UntilTokens is null || ramp is not null, $"{at}.until", "Only pretraining counts its learning rate in tokens.",
                "Write 'untilStep:'.");
            scope.Fits(piece.UntilTokens is not { } t || t <= (tokens ?? long.MaxValue), $"{at}.until",
                $"The stage ends before, at {CountNotation.Short(tokens ?? 0)} tokens.", "Write at most "
                    + $"{CountNotation.Short(tokens ?? 0)}.");
            scope.Fits(
                piece.UntilStep is not { } s
                    || s <= steps, $"{at}.untilStep", $"The stage ends before, at step {steps}.", $"Write at most {steps}.");
            double end = piece.UntilTokens is { } atTokens && ramp is not null
                ? StageLength.Of(atTokens, ramp.SequenceLength, ramp.BatchSize).Steps
                : piece.UntilStep ?? steps;
            scope.Fits(end > last || (end == last && final), at,
                $"The pieces are not ascending: this one ends at step {end:0}, the one before at step {last:0}.",
                "Put them in the order of their ends.");
            scope.Warn(!final || end >= steps, at, $"The last piece ends at step {end:0} of {steps}; its value holds to the end.",
                "Let it reach the end, or leave its end out.");
            last = end;
        }
    }

    /// <summary>A stage and its place in the text.</summary>
    private sealed record Scope(PipelineSpec Pipeline, StageSpec Stage, string At, Reading Reading)
    {
        public int Context => Pipeline.ContextBefore(Stage);

        public bool ModelSound => Reading.Sound("model");

        public bool AllSound => Reading.Sound(At) && ModelSound;

        public bool Sound(params string[] fields) => fields.All(f => Reading.Sound($"{At}.{f}"));

        public void Fits(bool fits, string field, string message, string fix, params string[] with) =>
            Reading.Check(fits, $"{At}.{field}", message, fix, [.. with.Select(w => $"{At}.{w}")]);

        public void Warn(bool fits, string field, string message, string fix, params string[] with) =>
            Reading.Check(fits, $"{At}.{field}", message, fix, [.. with.Select(w => $"{At}.{w}")], ProblemSeverity.Warning);

        public void Length(int length, string prefix) => Fits(
            Pipeline.Precision != Precision.Fp8 || length % Fp8Tile == 0, $"{prefix}sequenceLength",
            $"FP8 multiplies tiles of {Fp8Tile} tokens, and {length} does not divide into them.", $"Write a multiple of {Fp8Tile}.");

        /// <summary>Every data-parallel rank gets as many whole micro-batches as the others.</summary>
        public void Batch(int sequences, int contextParallel, string field, string contextField = "")
        {
            var layout = Pipeline.ParallelismOf(Stage);
            int ranks = Pipeline.ResourcesOf(Stage).Ranks;
            long cut = (long)layout.Pipeline * layout.Tensor * contextParallel;
            if (!Reading.Sound("resources") || !Reading.Sound("parallelism") || !Sound("resources",
                "parallelism") || (ranks % cut != 0 && contextParallel == 1))
            {
                return;
            }
            Fits(ranks % cut == 0, contextField.Length > 0 ? contextField : field,
                $"{Decisions.Words.Count(ranks, "rank", "ranks")} cannot be cut into "
                    + $"{layout.Pipeline} × {layout.Tensor} × {contextParallel} (pipeline, tensor, context).",
                $"Write a contextParallel that divides {ranks / layout.Pipeline / layout.Tensor}.");
            long share = Math.Max(1, ranks / cut) * Math.Max(1, layout.MicroBatch);
            Fits(sequences % share == 0, field,
                $"{sequences} sequences cannot be dealt evenly to {ranks / cut} data-parallel ranks"
                    + $"{(layout.MicroBatch > 1 ? $" in micro-batches of {layout.MicroBatch}" : "")}.",
                $"Write a multiple of {share}.");
        }
    }
}
