using System.CommandLine;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops notify --test`: whether people would be told.</summary>
internal static class NotifyVerb
{
    public static Command Build(Terminal terminal)
    {
        var test = new Option<bool>("--test") { Description = "Send a trial message on every channel." };
        var command = new Command("notify", "Lists who is notified of what automation cannot fix; --test tries it.") { test };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var reply = await client.TryNotificationsAsync(
                new TryNotificationsRequest { Send = parsed.GetValue(test) }, ControlPlaneConnection.Options(cancellation));
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(ProtoJson.Document(reply));
            }
            else if (reply.Channels.Count == 0)
            {
                throw new RefusalException("Nobody is notified: the cluster's settings have no part 'notifications:'.",
                    "Name a webhook or a mail server there (docs/cluster.md), and start again with --cluster-settings.");
            }

            foreach (var channel in parsed.WantsJson() ? [] : reply.Channels)
            {
                await terminal.Output.WriteLineAsync(Columns.Clean(channel.Trouble.Length > 0 ? $"{channel.Name}: {channel.Trouble}"
                    : parsed.GetValue(test) ? $"{channel.Name}: delivered" : channel.Name));
            }

            return reply.Channels.Any(c => c.Trouble.Length > 0) ? ExitCode.Failed : ExitCode.Ok;
        });
        return command;
    }
}
