using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Training.Learning;
using TorchSharp;
using static TorchSharp.torch;
using Counted = DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.Worker.Training.Stages;

/// <summary>
/// What distillation is compared with: the same student from the same beginning, trained as long and at the same rates, on the same
/// problems, but with the data's own solutions in the place of the teacher's. Measured, then dropped: no checkpoint keeps it.
/// </summary>
public sealed class UndistilledStudent : IDisposable
{
    private readonly StageContext _context;
    private readonly Distillation _plan;
    private readonly Learner _learner;

    public UndistilledStudent(StageContext context, Distillation plan)
    {
        (_context, _plan) = (context, plan);
        _learner = context.NewLearner(plan.Student ?? context.Plan.Model);
        _learner.Draw();
        ModelWeights.LoadBeginning(_learner.Model, context.Plan, plan.StudentFrom);
    }

    /// <param name="steps">As many as the distilled student had.</param>
    /// <param name="stepsDone">The stage's own, which progress is told by.</param>
    /// <returns>Null: its numbers broke, which is told, and says nothing of the student that was distilled.</returns>
    public DeepSeekModel? Train(long steps, long stepsDone)
    {
        var rate = _plan.LearningRate.ToRecord();
        var tokens = 0L;
        for (var step = 0L; step < steps; step++)
        {
            _context.Link.Stopping.ThrowIfCancellationRequested();
            _context.Link.Progress(RankState.Training, "undistilled", stepsDone);
            using var scope = NewDisposeScope();
            var batch = AnswerBatch.Pack(Draw(step), _plan.SequenceLength, _context);
            if (batch.Learned == 0)
            {
                continue;
            }
            _learner.Backward(Answers.Read(_learner.Model, batch.Own, _plan.Lambda, _context).Total * batch.Share);
            var norm = _learner.Update(rate.At(step, tokens, steps)).ToDouble();
            if (!double.IsFinite(norm))
            {
                _context.Tell("The student without a teacher is not measured: its gradient norm became "
                    + $"{(double.IsNaN(norm) ? "NaN" : "infinite")} at its step {step + 1}.");
                return null;
            }
            tokens += batch.Tokens;
        }
        return _learner.Model;
    }

    public void Dispose() => _learner.Dispose();

    private List<Instance> Draw(long step) => [.. _context.Own([.. Enumerable.Range(0, _plan.BatchSize)]).Select(i =>
    {
        var (pass, within) = Math.DivRem((step * _plan.BatchSize) + i, _plan.Samples);
        var problem = _context.Data.TrainingProblem(
            StageContext.DistillationProblems + new Permutation(_plan.Samples, _context.Plan.Seed + pass)[within]);
        return ChatTemplate.Render(problem.ToConversation(), _context.Tokenizer);
    })];
}
