namespace DeepSeekOps.ControlPlane.Tests.Pipelines;

/// <summary>The pipelines that ship with the repository.</summary>
internal static class Examples
{
    public static string Root { get; } = FindRoot();

    public static string Mini { get; } = Read("mini");

    /// <summary>A pipeline that only tests read: its numbers do not move when an example is tuned.</summary>
    public static string OfTests { get; } =
        File.ReadAllText(Path.Combine(Root, "tests", "ControlPlane.Tests", "Pipelines", "pipeline.yaml"));

    public static string Read(string name) => File.ReadAllText(Path.Combine(Root, "deploy", "examples", $"{name}.yaml"));

    private static string FindRoot()
    {
        string folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "DeepSeekOps.sln")))
        {
            folder = Path.GetDirectoryName(folder)
                ?? throw new DirectoryNotFoundException("DeepSeekOps.sln is in no folder above the tests.");
        }
        return folder;
    }
}
