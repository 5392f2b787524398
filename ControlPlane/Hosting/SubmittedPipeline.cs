using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>dev --submit FILE.</summary>
internal static class SubmittedPipeline
{
    public static Task<string> Read(string file, CancellationToken cancellation) => PipelineSubmission.Read(file, cancellation);

    /// <summary>
    /// A file that is refused does not end `dev`: what runs already goes on, and the person reads what to change and submits again.
    /// </summary>
    public static async Task Submit(
        OpsService.OpsServiceClient client, string file, string text, Func<string, string> open, Terminal terminal,
        CancellationToken cancellation, string? data = null)
    {
        try
        {
            var reply = await PipelineSubmission.Submit(client, file, text, name: "", cancellation, data);
            foreach (var warning in reply.Warnings)
            {
                await terminal.Error.WriteLineAsync(ProblemText.One(warning, file));
            }
            string run = reply.Run.Name;
            await terminal.Output.WriteLineAsync(reply.Created
                ? $"{run} is submitted: {open($"/runs/{run}")}"
                : $"{run} was submitted before with the same pipeline; it is {reply.Run.State}: {open($"/runs/{run}")}");
        }
        catch (RefusalException failure)
        {
            await terminal.Error.WriteLineAsync($"{file} was not submitted: {failure.Message}");
            await terminal.Error.WriteLineAsync($"  fix: {failure.Fix} Everything else goes on; `dsops submit {file}` tries again.");
        }
    }
}
