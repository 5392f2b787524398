using System.CommandLine;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Cli;

/// <summary>Options that every verb takes; one instance each, hung on the root.</summary>
internal static class CommonOptions
{
    public static readonly Option<string> DataDirectory = new("--data-dir")
    {
        Description = "Folder that `dsops dev` keeps everything in; the other verbs find the running control plane through it.",
        HelpName = "DIR",
        DefaultValueFactory = _ => ControlFile.UsualDirectory,
        Recursive = true,
    };

    public static readonly Option<string?> Server = new("--server")
    {
        Description = "Address of a control plane elsewhere, as its dashboard shows it: https://host. Of several, separated by commas, "
            + $"the first that answers. Default: {ControlPlaneConnection.ServerVariable} in the environment.",
        HelpName = "URL[,URL]",
        DefaultValueFactory = _ => Environment.GetEnvironmentVariable(ControlPlaneConnection.ServerVariable) is { Length: > 0 } named
            ? named : null,
        Recursive = true,
    };

    public static readonly Option<string?> Ca = new("--ca")
    {
        Description = "PEM file with the certificate of who signed that of --server. Default: "
            + $"{ServerTrust.Variable} in the environment, else those whom this machine trusts.",
        HelpName = "FILE",
        DefaultValueFactory = _ => Environment.GetEnvironmentVariable(ServerTrust.Variable) is { Length: > 0 } file ? file : null,
        Recursive = true,
    };

    public static readonly Option<bool> Json = new("--json")
    {
        Description = "Print JSON for scripts; errors too, on standard error.",
        Recursive = true,
    };
}
