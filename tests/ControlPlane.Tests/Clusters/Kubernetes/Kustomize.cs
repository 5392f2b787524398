using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Clusters.Kubernetes;

/// <summary>`kubectl kustomize`, where there is one that knows components.</summary>
internal static partial class Kustomize
{
    private static readonly Lazy<string?> Reason = new(() =>
    {
        try
        {
            var (code, text) = Run("version", "--client", "--output", "json");
            var version = Minor().Match(text);
            // 1.25 has kustomize 4.5, with components, and patches that change a kind.
            return code == 0 && version.Success && int.Parse(version.Groups[1].Value, CultureInfo.InvariantCulture) >= 25 ? null
                : "the kubectl of this machine is older than 1.25 and renders no components";
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return "there is no kubectl on this machine, which renders the overlays";
        }
    });

    /// <summary>Null: it is there.</summary>
    public static string? Missing => Reason.Value;

    public static string Render(string folder)
    {
        var (code, text) = Run("kustomize", folder);
        return code == 0 ? text : throw new InvalidOperationException($"kubectl kustomize {folder} ended with {code}: {text}");
    }

    /// <summary>deploy/ in a folder of its own, with something written in one of its files.</summary>
    public static string Copy(string deploy, string file, string written, string instead)
    {
        string to = Directory.CreateTempSubdirectory("dsops-way-").FullName;
        foreach (string part in new[] { "kubernetes", "monitoring", "overlays", "parts" })
        {
            foreach (string one in Directory.GetFiles(Path.Combine(deploy, part), "*", SearchOption.AllDirectories))
            {
                string place = Path.Combine(to, Path.GetRelativePath(deploy, one));
                Directory.CreateDirectory(Path.GetDirectoryName(place)!);
                File.Copy(one, place);
            }
        }

        string text = File.ReadAllText(Path.Combine(to, file));
        Assert.Contains(written, text, StringComparison.Ordinal);
        File.WriteAllText(Path.Combine(to, file), text.Replace(written, instead, StringComparison.Ordinal));
        return to;
    }

    /// <summary>What it said, on either stream where it failed.</summary>
    public static (int Code, string Text) Run(params string[] arguments)
    {
        using var kubectl = Process.Start(
            new ProcessStartInfo("kubectl", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var error = kubectl.StandardError.ReadToEndAsync();
        string text = kubectl.StandardOutput.ReadToEnd();
        kubectl.WaitForExit();
        return (kubectl.ExitCode, kubectl.ExitCode == 0 ? text : text + error.GetAwaiter().GetResult());
    }

    [GeneratedRegex("\"minor\": *\"([0-9]+)")]
    private static partial Regex Minor();
}
