using System.Runtime.InteropServices;

namespace DeepSeekOps.ControlPlane.Clusters.LocalProcess;

/// <summary>Finds the worker program beside the control plane.</summary>
internal static class WorkerProgram
{
    public const string Variable = "DSOPS_WORKER";

    /// <summary>Where an agent finds the token of its gang; AgentOptions.TokenVariable of the worker.</summary>
    public const string TokenVariable = "DSOPS_AGENT_TOKEN";

    /// <summary>By what an agent knows the control plane; AgentOptions.PinVariable of the worker.</summary>
    public const string PinVariable = "DSOPS_CONTROL_PIN";

    private const string FileName = "dsops-worker.dll";

    /// <param name="baseDirectory">Where the control plane's own program lies.</param>
    /// <param name="named">Value of <see cref="Variable"/>: a file, which takes the place of the two usual ones.</param>
    /// <exception cref="FileNotFoundException">It is not there; the message names the places and the fix.</exception>
    public static string Find(string baseDirectory, string? named)
    {
        string folder = baseDirectory.TrimEnd('/');
        // artifacts/bin/ControlPlane/release -> artifacts/bin/Worker/release
        string[] places =
        [
            Path.Combine(folder, "worker", FileName),
            Path.GetFullPath(Path.Combine(folder, "..", "..", "Worker", Path.GetFileName(folder), FileName)),
        ];
        if (named is { Length: > 0 })
        {
            return File.Exists(named) ? Path.GetFullPath(named) : throw new FileNotFoundException(
                $"{Variable} is '{named}', and no file is there. Set it to the path of {FileName}, or unset it.");
        }

        return places.FirstOrDefault(File.Exists) ?? throw new FileNotFoundException(
            $"The worker program is missing: {string.Join(", ", places)} do not exist. Build it with 'dotnet build -c Release Worker', "
            + $"or set {Variable} to the path of {FileName}.");
    }

    /// <summary>Its first words: an assembly is run by the dotnet that runs this process, whatever else is named runs itself.</summary>
    public static string[] Command(string program) =>
        Path.GetExtension(program) == ".dll" ? [DotnetHost(), program] : [program];

    /// <summary>The dotnet that runs this very process: another one on the path might not have our runtime.</summary>
    public static string DotnetHost()
    {
        string host = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../../../dotnet"));
        return File.Exists(host) ? host : "dotnet";
    }
}
