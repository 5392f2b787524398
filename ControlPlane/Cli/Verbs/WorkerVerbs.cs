using System.CommandLine;
using System.Diagnostics;
using DeepSeekOps.ControlPlane.Clusters.LocalProcess;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>Verbs that need libtorch are the worker program's: it is started with this terminal and its exit code is ours.</summary>
internal static class WorkerVerbs
{
    public static Command Model() => Delegate("model", "Looks into a model folder: `model params DIR` counts, `model check DIR` verifies.");

    private static Command Delegate(string verb, string description)
    {
        var arguments = new Argument<string[]>("arguments") { Description = "As the worker program takes them.", Arity = ArgumentArity.ZeroOrMore };
        var command = new Command(verb, description) { arguments };
        command.TreatUnmatchedTokensAsErrors = false;
        command.SetAction(async (parsed, cancellation) =>
        {
            var start = new ProcessStartInfo(WorkerProgram.DotnetHost(), [Found(), verb, .. parsed.GetValue(arguments) ?? [], .. parsed.UnmatchedTokens]);
            using var process = Process.Start(start) ?? throw new RefusalException("`dotnet` did not start.", "Check that it is on the PATH.");
            // Ctrl-C reaches the worker by the terminal; it ends by itself.
            await process.WaitForExitAsync(CancellationToken.None);
            return process.ExitCode;
        });
        return command;
    }

    private static string Found()
    {
        try
        {
            return WorkerProgram.Find(AppContext.BaseDirectory, Environment.GetEnvironmentVariable(WorkerProgram.Variable));
        }
        catch (FileNotFoundException e)
        {
            throw new RefusalException("The worker program is missing.", e.Message, ExitCode.Failed, e);
        }
    }
}
