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

    /// <summary>Its checklists go by names of files and test classes: a name that moved would send a newcomer nowhere.</summary>
    [Fact]
    public void Whatever_the_guide_for_contributors_names_is_there()
    {
        string[] quoted = [.. Quoted().Matches(Repository.Read("docs/CONTRIBUTING.md")).Select(m => m.Groups[1].Value).Distinct()];
        string[] files = [.. quoted.Where(q => FileName().IsMatch(q) || q.StartsWith("ControlPlane/", StringComparison.Ordinal))];
        string[] classes = [.. quoted.Where(q => TestClass().IsMatch(q))];
        Assert.True(files.Length > 40 && classes.Length > 20, "the guide names its files and tests in back quotes");
        var names = Repository.Files().Select(Path.GetFileName).ToHashSet(StringComparer.Ordinal);
        Assert.DoesNotContain(files, f => f.Contains('/') ? !Path.Exists(Path.Combine(Repository.Root, f)) : !names.Contains(f));
        Assert.DoesNotContain(classes, c => !names.Contains($"{c}.cs"));
    }

    [Fact]
    public void No_two_decisions_have_one_number()
    {
        var byNumber = Repository.Files(".md").Where(f => f.StartsWith("docs/decisions/", StringComparison.Ordinal))
            .Select(Path.GetFileName)
            .GroupBy(f => f!.Split('-')[0]).Where(g => g.Count() > 1);
        Assert.Empty(byNumber.Select(g => string.Join(" and ", g)));
    }

    [GeneratedRegex("`([^`\\s]+)`")]
    private static partial Regex Quoted();

    [GeneratedRegex(@"^[\w./]+\.(cs|proto|txt|js|md|yaml)\z")]
    private static partial Regex FileName();

    [GeneratedRegex(@"^[A-Z]\w+(Tests|Properties)\z")]
    private static partial Regex TestClass();

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"(^|[\s""'(=])/(work|root)/")]
    private static partial Regex MachinePath();
}
