using System.Diagnostics;

namespace DeepSeekOps.Repo.Tests;

/// <summary>The checkout under test: its folder and the files git would commit.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    private static readonly Lazy<string[]> AllFiles = new(ListFiles);

    /// <summary>Paths relative to the root with forward slashes: tracked files and new ones that are not ignored.</summary>
    public static IEnumerable<string> Files(params string[] endings) =>
        AllFiles.Value.Where(f => endings.Length == 0 || endings.Any(e => f.EndsWith(e, StringComparison.Ordinal)));

    public static string Read(string path) => File.ReadAllText(Path.Combine(Root, path));

    public static string[] Lines(string path) => File.ReadAllLines(Path.Combine(Root, path));

    /// <summary>Our own C#: neither generated migrations nor test fixtures.</summary>
    public static IEnumerable<string> Sources() => Files(".cs").Where(f => !f.Contains("/Migrations/", StringComparison.Ordinal));

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "DeepSeekOps.sln")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException($"No DeepSeekOps.sln above {AppContext.BaseDirectory}; run the tests from a checkout.");
    }

    private static string[] ListFiles()
    {
        var start = new ProcessStartInfo("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        {
            WorkingDirectory = Root,
            RedirectStandardOutput = true,
        };
        using var git = Process.Start(start) ?? throw new InvalidOperationException("git did not start");
        string listing = git.StandardOutput.ReadToEnd();
        git.WaitForExit();
        string[] files = [.. listing.Split('\0', StringSplitOptions.RemoveEmptyEntries).Where(f => File.Exists(Path.Combine(Root, f)))];
        return files.Length > 0 ? files : throw new InvalidOperationException("git lists no file; the tests need a git checkout.");
    }
}
