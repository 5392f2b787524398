using System.Text.Json;
using System.Text.RegularExpressions;
using Xunit;

namespace DeepSeekOps.Repo.Tests;

/// <summary>What can be told of the images without building them; EndToEnd.Tests runs them where that is asked for.</summary>
public sealed partial class ImageFileTests
{
    private static readonly string[] Stages = Stage().Split(Repository.Read("deploy/images/Dockerfile"))[1..];

    private static readonly string Build = Repository.Read("deploy/images/build"), Publish = Repository.Read("deploy/images/publish");

    /// <summary>The stages that are images: whatever is built on nothing.</summary>
    private static Dictionary<string, string> Images => Stages.Where(s => s.StartsWith("scratch AS ", StringComparison.Ordinal))
        .ToDictionary(s => s.Split('\n')[0]["scratch AS ".Length..].Trim(), StringComparer.Ordinal);

    [Fact]
    public void An_image_runs_as_a_number_that_is_not_root_and_starts_a_program_that_is_built_here()
    {
        Assert.Equal(["control-plane", "worker-cpu", "worker-cuda"], Images.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, text) in Images)
        {
            string user = User().Match(text).Groups[1].Value;
            Assert.True(int.TryParse(user, out int number) && number > 0, $"{name} runs as '{user}': a kubelet tells by a number alone");
            string[] entry = JsonSerializer.Deserialize<string[]>(Entrypoint().Match(text).Groups[1].Value)!;
            string project = name == "control-plane" ? "ControlPlane/ControlPlane.csproj" : "Worker/Worker.csproj";
            string assembly = AssemblyName().Match(Repository.Read(project)).Groups[1].Value;
            Assert.Equal("dotnet", entry[0]);
            Assert.EndsWith($"/{assembly}.dll", entry[1], StringComparison.Ordinal);
            string folder = Path.GetDirectoryName(entry[1])!;
            Assert.Contains($"COPY --from={name}-files /published/app/ {folder}/\n", text, StringComparison.Ordinal);
            // What `build` gives as folders, and what the same script makes within an engine.
            Assert.Contains(Stages, s => s.StartsWith($"${{SDK}} AS {name}-files", StringComparison.Ordinal)
                && s.Contains($"deploy/images/publish {name} /published", StringComparison.Ordinal));
            Assert.Contains(name, Publish, StringComparison.Ordinal);
            Assert.Contains(name, Build, StringComparison.Ordinal);
        }
    }

    /// <summary>As `kubernetes.command` has it by default, and the manifest of the control plane.</summary>
    [Fact]
    public void Manifests_start_what_the_images_have()
    {
        Assert.Contains("[\"dotnet\", \"/app/worker/dsops-worker.dll\"]", Repository.Read("ControlPlane/Decisions/Pods/PodSettings.cs"),
            StringComparison.Ordinal);
        Assert.All(["worker-cpu", "worker-cuda"], w => Assert.Contains("\"/app/worker/dsops-worker.dll\"]", Images[w],
            StringComparison.Ordinal));
        Assert.Contains("command: [dotnet, /app/dsops.dll]", Repository.Read("deploy/kubernetes/control-plane.yaml"),
            StringComparison.Ordinal);
        Assert.Contains("\"/app/dsops.dll\"]", Images["control-plane"], StringComparison.Ordinal);
    }

    [Fact]
    public void What_an_image_is_built_on_is_pinned_and_the_same_either_way()
    {
        string text = Repository.Read("deploy/images/Dockerfile");
        var bases = Base().Matches(text).ToDictionary(m => m.Groups[1].Value, m => m.Groups[2].Value);
        Assert.DoesNotContain(bases, b => b.Value.EndsWith(":latest", StringComparison.Ordinal));
        Assert.DoesNotContain(bases, b => !b.Value.Contains(':', StringComparison.Ordinal));
        using var global = JsonDocument.Parse(Repository.Read("global.json"));
        string sdk = global.RootElement.GetProperty("sdk").GetProperty("version").GetString()!;
        Assert.EndsWith($":{sdk}", bases["SDK"], StringComparison.Ordinal);
        // Debian 12 is bookworm.
        Assert.Contains(":12.", bases["DEBIAN"], StringComparison.Ordinal);
        Assert.Contains("suite=bookworm\n", Build, StringComparison.Ordinal);
        string[] installed = AptInstall().Match(text).Groups[1].Value.Split(' ');
        string[] included = Included().Match(Build).Groups[1].Value.Split(',');
        Assert.Equal(installed, included);
        string[] taken = Packages().Match(Repository.Read("deploy/images/system")).Groups[1].Value.Split(' ');
        Assert.All(installed, package => Assert.Contains(package, taken));
    }

    [GeneratedRegex(@"^FROM ", RegexOptions.Multiline)]
    private static partial Regex Stage();

    [GeneratedRegex(@"^USER (\d+):\d+$", RegexOptions.Multiline)]
    private static partial Regex User();

    [GeneratedRegex(@"^ENTRYPOINT (\[.*\])$", RegexOptions.Multiline)]
    private static partial Regex Entrypoint();

    [GeneratedRegex(@"^ARG (\w+)=(\S+)$", RegexOptions.Multiline)]
    private static partial Regex Base();

    [GeneratedRegex(@"--no-install-recommends ([^&\n]+?)\n")]
    private static partial Regex AptInstall();

    [GeneratedRegex(@"--include=(\S+)")]
    private static partial Regex Included();

    [GeneratedRegex(@"^packages=\((.*)\)$", RegexOptions.Multiline)]
    private static partial Regex Packages();

    [GeneratedRegex("<AssemblyName>(.*)</AssemblyName>")]
    private static partial Regex AssemblyName();
}
