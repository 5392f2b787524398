using System.Text.RegularExpressions;
using Xunit;

namespace DeepSeekOps.Repo.Tests;

/// <summary>What the documents say is there.</summary>
public sealed partial class DocumentTests
{
    [Fact]
    public void Local_links_lead_somewhere()
    {
        string[] broken = [.. Repository.Files(".md").SelectMany(path => Link().Matches(Repository.Read(path))
            .Select(m => m.Groups[1].Value.Split('#')[0])
            .Where(target => target.Length > 0 && !target.Contains("://", StringComparison.Ordinal))
            .Where(target => !Path.Exists(Path.Combine(Repository.Root, Path.GetDirectoryName(path) ?? "", target)))
            .Select(target => $"{path}: {target}"))];
        Assert.Empty(broken);
    }

    [Fact]
    public void Nothing_names_the_machine_it_was_written_on()
    {
        string[] found = [.. Repository.Files(".cs", ".md", ".razor", ".yaml", ".yml", ".proto", ".props", ".csproj", ".js", "run")
            .Where(f => !f.StartsWith("tests/Repo.Tests/", StringComparison.Ordinal))
            .SelectMany(path => Repository.Lines(path).Where(l => MachinePath().IsMatch(l)).Select(l => $"{path}: {l.Trim()}"))];
        Assert.Empty(found);
    }

    [Fact]
    public void Readme_names_the_two_commands()
    {
        string readme = Repository.Read("README.md");
        Assert.Contains("dotnet run -c Release --project ControlPlane -- dev --submit deploy/examples/mini.yaml", readme,
            StringComparison.Ordinal);
        Assert.Contains("bash tests/run", readme, StringComparison.Ordinal);
    }

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"(^|[\s""'(=])/(work|root)/")]
    private static partial Regex MachinePath();
}
