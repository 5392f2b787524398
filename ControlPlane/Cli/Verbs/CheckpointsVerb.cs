using System.CommandLine;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using Google.Protobuf.WellKnownTypes;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

internal static class CheckpointsVerb
{
    private static readonly Column[] Table =
    [
        new("STAGE", 1), new("STEP", 1, Right: true), new("STATE", 2), new("SIZE", 3, Right: true), new("LOSS", 4, Right: true),
        new("VERIFIED", 5, Flexible: true), new("TOKENS", 7, Right: true), new("BLOCKED", 8, Right: true),
        new("WHERE", 5, Flexible: true),
        new("PATH", 6, Flexible: true), new("FROM", 9, Flexible: true),
    ];

    public static Command Build(Terminal terminal)
    {
        var name = VerbAction.RunName();
        var stage = new Option<string?>("--stage") { Description = "Only this stage.", HelpName = "NAME" };
        var command = new Command("checkpoints", "Lists a run's checkpoints: state, size, loss, where each is and where it came from.")
        {
            name, stage,
        };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var reply = await All(client, parsed.GetValue(name) ?? "", parsed.GetValue(stage) ?? "", cancellation);
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(ProtoJson.Document(reply.Checkpoints));
            }
            else if (reply.Checkpoints.Count == 0)
            {
                await terminal.Output.WriteLineAsync("No checkpoint yet.");
            }
            else
            {
                if (reply.Simulated)
                {
                    await terminal.Output.WriteLineAsync("Simulated: no figure here is measured, and there are no files.");
                }
                Write(terminal, reply.Checkpoints);
            }
            return ExitCode.Ok;
        });
        return command;
    }

    /// <summary>The oldest first, whatever pages they come in.</summary>
    internal static async Task<ListCheckpointsReply> All(
        OpsService.OpsServiceClient client, string run, string stage, CancellationToken cancellation)
    {
        var request = new ListCheckpointsRequest { Run = run, Stage = stage };
        var reply = await client.ListCheckpointsAsync(request, ControlPlaneConnection.Options(cancellation));
        for (var older = reply; older.NextPageToken.Length > 0;)
        {
            request.PageToken = older.NextPageToken;
            older = await client.ListCheckpointsAsync(request, ControlPlaneConnection.Options(cancellation));
            for (int i = 0; i < older.Checkpoints.Count; i++)
            {
                reply.Checkpoints.Insert(i, older.Checkpoints[i]);
            }
        }

        return reply;
    }

    public static void Write(Terminal terminal, IEnumerable<Checkpoint> checkpoints) =>
        Columns.Write(terminal, Table, [.. checkpoints.Select(checkpoint =>
        (IReadOnlyList<string>)
        [
            checkpoint.Stage, checkpoint.Step.ToString(CultureInfo.InvariantCulture), checkpoint.State, Words.Bytes(checkpoint.Bytes),
            Words.Figure(checkpoint.Loss), Verified(checkpoint), Words.Count(checkpoint.Tokens),
            checkpoint.Stall is { } stall ? Words.Time(stall.ToTimeSpan()) : Words.None,
            Where(checkpoint), checkpoint.Path, checkpoint.Lineage,
        ])]);

    /// <summary>"2026-01-02 08:00 UTC by the agent on node-0"; an agent reads a checkpoint again some time after it was made.</summary>
    private static string Verified(Checkpoint checkpoint) =>
        checkpoint.VerifiedAt is { } at ? $"{Words.Moment(at.ToDateTimeOffset())} by {checkpoint.VerifiedBy}"
        : checkpoint.Unread.Length > 0 ? checkpoint.Unread : checkpoint.State is "deleted" or "quarantined" ? Words.None : "not yet";

    /// <summary>Its two places, and since when it is in each: "folder 12:00:05 (+1.2 s), store 12:00:09 (+4 s)".</summary>
    private static string Where(Checkpoint checkpoint)
    {
        if (checkpoint.State == "deleted")
        {
            return Words.None;
        }

        string folder = checkpoint.OnlyStored ? "" : $"folder {At(checkpoint.At, checkpoint.Lag)}";
        string store = checkpoint.StoreUri.Length == 0 ? "" : $"store {At(checkpoint.StoredAt, checkpoint.StoreLag)}";
        return string.Join(", ", ((string[])[folder, store]).Where(place => place.Length > 0));
    }

    private static string At(Timestamp? at, Duration? after) => at is null ? Words.None
        : Words.Moment(at.ToDateTimeOffset()) + (after is null || after == new Duration() ? "" : $" (+{Words.Time(after.ToTimeSpan())})");
}
