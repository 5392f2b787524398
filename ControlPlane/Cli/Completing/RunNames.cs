using System.CommandLine;
using System.CommandLine.Completions;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli.Verbs;
using DeepSeekOps.ControlPlane.Client;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Cli.Completing;

/// <summary>Names of runs, where a verb takes one and a shell asks what could stand there.</summary>
internal static class RunNames
{
    /// <summary>Who presses a key does not wait longer; then the shell has nothing to offer.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>A list that a shell shows; what is typed narrows it.</summary>
    private const int Most = 200;

    /// <summary>Every argument that is a run, of every verb below.</summary>
    public static void AddTo(Command command)
    {
        foreach (var argument in command.Arguments.Where(argument => argument.Name is "run" or "runs"))
        {
            // Help would print all that completes it in place of its name, and ask the control plane for it.
            argument.HelpName ??= argument.Name;
            argument.CompletionSources.Add(context => Names(context).GetAwaiter().GetResult().Select(name => new CompletionItem(name)));
        }

        command.Subcommands.ToList().ForEach(AddTo);
    }

    private static async Task<IReadOnlyList<string>> Names(CompletionContext context)
    {
        try
        {
            using var limit = new CancellationTokenSource(Patience);
            using var connection = await VerbAction.Connect(context.ParseResult, limit.Token).ConfigureAwait(false);
            var request = new ListRunsRequest { NameContains = context.WordToComplete, PageSize = Most };
            var reply = await connection.Client.ListRunsAsync(request, ControlPlaneConnection.Options(limit.Token)).ConfigureAwait(false);
            return [.. reply.Runs.Select(run => run.Name)];
        }
        catch (Exception e) when (e is RefusalException or RpcException or OperationCanceledException)
        {
            // A shell that completes has no place for a refusal; the verb itself will say it.
            return [];
        }
    }
}
