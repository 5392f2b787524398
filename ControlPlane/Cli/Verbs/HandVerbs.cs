using System.CommandLine;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops incidents hold|release|take|give-back|undo`: a person's hand on what automation does.</summary>
internal static class HandVerbs
{
    public static IEnumerable<Command> Build(Terminal terminal)
    {
        var lasting = new Option<TimeSpan?>("--for")
        {
            Description = "Lets go by itself after so long: 45m, 2h, 1d. Default: a person ends it.", HelpName = "TIME",
            CustomParser = result => IncidentsVerb.ParseSpan(result, "--for"),
        };
        yield return Verb(terminal, "hold",
            "Keeps automation from ending, replacing or launching anything of a run (RUN), or for as long as one incident is open "
            + "(RUN/STAGE/NUMBER). It watches on and says what it would do; a step that is not finite is acted on all the same.",
            (client, request, options) => client.HoldRunAsync(request, options), lasting);
        yield return Verb(terminal, "release", "Ends a hold: automation acts again.",
            (client, request, options) => client.ReleaseRunAsync(request, options));
        yield return Verb(terminal, "take", "Takes an incident over: nothing more is done about it by itself until it is given back.",
            (client, request, options) => client.TakeIncidentAsync(request, options), lasting);
        yield return Verb(terminal, "give-back", "Gives an incident back: automation goes on with it.",
            (client, request, options) => client.ReleaseRunAsync(request, options));
        yield return Verb(terminal, "undo",
            "Takes back what was done for a stage's newest incident, where that can be: a lowered rate, batches left out and not reached, "
            + "fewer nodes, a node avoided.", (client, request, options) => client.UndoIncidentAsync(request, options));
    }

    private static Command Verb(
        Terminal terminal, string verb, string description,
        Func<OpsService.OpsServiceClient, HoldRequest, CallOptions, AsyncUnaryCall<Run>> call, Option<TimeSpan?>? lasting = null)
    {
        var id = new Argument<string>("id")
        {
            Description = verb is "take" or "undo" ? "RUN/STAGE/NUMBER, as the list has them." : "RUN, or RUN/STAGE/NUMBER.",
        };
        var by = new Option<string?>("--by") { Description = "Who asks. Default: the name of the account.", HelpName = "NAME" };
        var reason = new Option<string?>("--reason") { Description = "Why, for the timeline.", HelpName = "TEXT" };
        var command = new Command(verb, description) { id, by, reason };
        if (lasting is not null)
        {
            command.Options.Add(lasting);
        }

        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var request = RequestOf(parsed.GetValue(id) ?? "");
            (request.By, request.Reason) = (parsed.GetValue(by) ?? Environment.UserName, parsed.GetValue(reason) ?? "");
            if (lasting is not null && parsed.GetValue(lasting) is { } span)
            {
                request.Lasting = Duration.FromTimeSpan(span);
            }

            var run = await call(client, request, ControlPlaneConnection.Options(cancellation));
            await terminal.Answer(parsed.WantsJson()).WriteLineAsync(
                parsed.WantsJson() ? ProtoJson.Document(run) : Columns.Clean(Said(verb, run)));
            return ExitCode.Ok;
        });
        return command;
    }

    private static string Said(string verb, Run run) => (verb, run.Hold) switch
    {
        ("undo", _) => $"{run.Name}: it is taken back; `dsops events {run.Name}` says how.",
        (_, { } hold) => $"{run.Name} is {hold.Words}. `dsops incidents {(hold.Taken ? "give-back" : "release")} {run.Name}` ends it.",
        _ => $"{run.Name}: automation acts again.",
    };

    internal static HoldRequest RequestOf(string id) => id.Split('/') switch
    {
        [{ Length: > 0 } run] => new HoldRequest { Run = run },
        [{ Length: > 0 } run, { Length: > 0 } stage, var number]
            when int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int which) && which > 0 =>
            new HoldRequest { Run = run, Stage = stage, Number = which },
        _ => throw new RefusalException($"id is '{id}', which names no run and no incident.",
            "Write RUN, or RUN/STAGE/NUMBER such as mini/pretrain/2; `dsops incidents` lists them."),
    };
}
