using System.CommandLine;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>--dry-run: what an action would do, in the words of the code that decides. Nothing is changed.</summary>
internal static class DryRun
{
    public static Option<bool> Option() => new("--dry-run") { Description = "Only say what would follow; change nothing." };

    public static async Task<int> Say(
        Terminal terminal, OpsService.OpsServiceClient client, ParseResult parsed, ForeseeRequest request, CancellationToken cancellation)
    {
        var foresight = await client.ForeseeAsync(request, ControlPlaneConnection.Options(cancellation));
        if (parsed.WantsJson())
        {
            await terminal.Document.WriteLineAsync(ProtoJson.Document(foresight));
            return foresight.Impossible.Length > 0 ? ExitCode.Failed : ExitCode.Ok;
        }

        if (foresight.Impossible.Length > 0)
        {
            throw new RefusalException(foresight.Impossible,
                "Nothing would be changed; `dsops queue` and `dsops cluster` show the state.");
        }

        foreach (string consequence in foresight.Consequences)
        {
            await terminal.Output.WriteLineAsync(Columns.Clean(consequence));
        }

        return ExitCode.Ok;
    }
}
