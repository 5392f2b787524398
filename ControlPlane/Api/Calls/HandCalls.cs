using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Decisions.Runs;
using Grpc.Core;
using Run = DeepSeekOps.Contracts.Ops.V1.Run;

namespace DeepSeekOps.ControlPlane.Api.Calls;

/// <summary>A person's hand on a run's automation.</summary>
internal sealed class HandCalls(KnownRuns known, RunCalls runs)
{
    public Task<Run> HoldRun(HoldRequest request, ServerCallContext context) => Ask(HandVerb.Hold, request, context);

    public Task<Run> ReleaseRun(HoldRequest request, ServerCallContext context) => Ask(HandVerb.Release, request, context);

    public Task<Run> TakeIncident(HoldRequest request, ServerCallContext context) => Ask(HandVerb.Take, request, context);

    public Task<Run> UndoIncident(HoldRequest request, ServerCallContext context) => Ask(HandVerb.Undo, request, context);

    private async Task<Run> Ask(HandVerb verb, HoldRequest request, ServerCallContext context)
    {
        string run = await known.Existing(request.Run, context.CancellationToken);
        int number = Checked.NotNegative(request.Number, "number");
        string stage = Checked.OptionalName(request.Stage, "stage") ?? "";
        if (verb is HandVerb.Take or HandVerb.Undo && number == 0)
        {
            throw Checked.Invalid("number is 0, which names no incident; `dsops incidents` lists them.");
        }

        if ((number > 0) != (stage.Length > 0))
        {
            throw Checked.Invalid("stage and number belong together: say both for one incident, or neither for the whole run.");
        }

        await known.ExistingStage(run, stage.Length > 0 ? stage : null, context.CancellationToken);
        var asked = new HandAsked(stage, number, Checked.By(request.By), Checked.Reason(request.Reason))
        {
            For = request.Lasting is null ? null : Checked.Span(request.Lasting, "lasting"),
        };
        return await runs.Command(run, context, grain => grain.Hand(verb, asked, context.CancellationToken));
    }
}
