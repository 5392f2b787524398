using System.CommandLine;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>What the verbs that talk to a control plane have in common.</summary>
internal static class VerbAction
{
    public static readonly Func<Argument<string>> RunName = () => new Argument<string>("run") { Description = "Name of the run." };

    public static void SetClientAction(
        this Command command, Func<OpsService.OpsServiceClient, ParseResult, CancellationToken, Task<int>> action) =>
        command.SetAction(async (parsed, cancellation) =>
        {
            using var connection = await Connect(parsed, cancellation);
            return await action(connection.Client, parsed, cancellation);
        });

    public static Task<ControlPlaneConnection> Connect(ParseResult parsed, CancellationToken cancellation) => ControlPlaneConnection.Open(
        parsed.GetValue(CommonOptions.DataDirectory) ?? ControlFile.UsualDirectory, parsed.GetValue(CommonOptions.Server),
        parsed.GetValue(CommonOptions.Ca), cancellation);

    public static bool WantsJson(this ParseResult parsed) => parsed.GetValue(CommonOptions.Json);
}
