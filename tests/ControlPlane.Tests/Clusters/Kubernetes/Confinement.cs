using k8s.Models;

namespace DeepSeekOps.ControlPlane.Tests.Clusters.Kubernetes;

/// <summary>The "restricted" profile of Kubernetes' Pod Security Standards, and a root file system that is read-only.</summary>
internal static class Confinement
{
    /// <param name="folders">Whether it may mount folders of its node, which the profile forbids.</param>
    public static IEnumerable<string> Breaches(V1PodSpec pod, bool folders = false)
    {
        var person = pod.SecurityContext;
        if (pod.HostNetwork is true || pod.HostPID is true || pod.HostIPC is true)
        {
            yield return "it shares its node's network or processes";
        }

        if (person?.RunAsNonRoot is not true || person.RunAsUser is null or 0)
        {
            yield return "it may run as root";
        }

        if (person?.SeccompProfile?.Type is not "RuntimeDefault")
        {
            yield return "it may make any call of the kernel";
        }

        if (!folders && (pod.Volumes ?? []).Any(v => v.HostPath is not null))
        {
            yield return "it mounts a folder of its node";
        }

        foreach (var container in pod.Containers.Concat(pod.InitContainers ?? []))
        {
            var own = container.SecurityContext;
            if (own?.AllowPrivilegeEscalation is not false || own.Privileged is true)
            {
                yield return $"{container.Name} may gain privileges";
            }

            if (own?.Capabilities?.Drop?.SequenceEqual(["ALL"]) is not true || own.Capabilities.Add is { Count: > 0 })
            {
                yield return $"{container.Name} has capabilities";
            }

            if (own?.ReadOnlyRootFilesystem is not true || (container.VolumeMounts ?? []).All(m => m.MountPath != "/tmp"))
            {
                yield return $"{container.Name} may write where nothing is mounted, or has no /tmp";
            }
        }
    }
}
