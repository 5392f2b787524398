using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

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
