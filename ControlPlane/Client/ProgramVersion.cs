using System.Reflection;

namespace DeepSeekOps.ControlPlane.Client;

/// <summary>The version of this program, which is that of the control plane it starts.</summary>
internal static class ProgramVersion
{
    public static string Text { get; } =
        typeof(ProgramVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";
}
