using System.Text.Json;
using System.Text.RegularExpressions;
using Xunit;

namespace DeepSeekOps.Repo.Tests;

/// <summary>The lists of what programs are made of (deploy/sbom) are those of the lock files. Costs nothing.</summary>
public sealed partial class BillOfMaterialsTests
{
    private static readonly string[] Shipped =
        ["ControlPlane/ControlPlane.csproj", "Worker/Worker.csproj", "Contracts/Contracts.csproj", "Dashboard/Dashboard.csproj"];

    private const string Fix = "its packages have changed: run deploy/sbom";

    [Theory, InlineData("ControlPlane", "control-plane"), InlineData("Worker", "worker")]
    public void A_bill_names_each_package_of_the_lock_file_in_its_version_with_its_sum_and_no_other(string project, string bill)
    {
        var locked = Locked(project);
        var listed = Listed(bill);
        Assert.True(locked.Count > 20, $"{project}/packages.lock.json has {locked.Count} packages");
        // A program's bill has what its projects build with too: the worker, which is built beside the control plane, and generators.
        var known = Shipped.SelectMany(p => Locked(Path.GetDirectoryName(p)!)).ToHashSet();
        Assert.True(locked.IsSubsetOf(listed.Keys) && known.IsSupersetOf(listed.Keys), $"deploy/bom/{bill}.json: {Fix}. Missing: "
            + $"{string.Join(", ", locked.Except(listed.Keys))}; not used: {string.Join(", ", listed.Keys.Except(known))}");
        Assert.All(listed.Values, c => Assert.Contains(c.GetProperty("hashes").EnumerateArray(),
            h => h.GetProperty("alg").GetString() == "SHA-512" && h.GetProperty("content").GetString()!.Length == 128));
    }

    /// <summary>Of those of Directory.Packages.props that a shipped project asks for.</summary>
    [Fact]
    public void Each_pinned_package_that_is_shipped_is_named()
    {
        var pins = Pin().Matches(Repository.Read("Directory.Packages.props"))
            .ToDictionary(m => m.Groups[1].Value, m => m.Groups[2].Value, StringComparer.OrdinalIgnoreCase);
        string[] asked = [.. Shipped.SelectMany(p => Asked().Matches(Repository.Read(p))).Where(m => !m.Value.Contains("PrivateAssets",
            StringComparison.Ordinal)).Select(m => m.Groups[1].Value).Distinct()];
        var listed = Listed("control-plane").Keys.Concat(Listed("worker").Keys).ToHashSet();
        Assert.True(asked.Length > 20);
        Assert.All(asked, name => Assert.Contains(Key(name, pins[name]), listed));
    }

    private static HashSet<string> Locked(string project)
    {
        using var file = JsonDocument.Parse(Repository.Read($"{project}/packages.lock.json"));
        return [.. file.RootElement.GetProperty("dependencies").EnumerateObject().SelectMany(f => f.Value.EnumerateObject())
            .Where(p => p.Value.GetProperty("type").GetString() != "Project")
            .Select(p => Key(p.Name, p.Value.GetProperty("resolved").GetString()!))];
    }

    private static Dictionary<string, JsonElement> Listed(string bill)
    {
        using var file = JsonDocument.Parse(Repository.Read($"deploy/bom/{bill}.json"));
        return file.RootElement.GetProperty("components").Clone().EnumerateArray()
            .ToDictionary(c => Key(c.GetProperty("name").GetString()!, c.GetProperty("version").GetString()!), StringComparer.Ordinal);
    }

    private static string Key(string name, string version) => $"{name.ToUpperInvariant()} {version}";

    [GeneratedRegex("<PackageVersion Include=\"([^\"]+)\" Version=\"([^\"]+)\"")]
    private static partial Regex Pin();

    [GeneratedRegex("<PackageReference Include=\"([^\"]+)\"[^>]*>")]
    private static partial Regex Asked();
}
