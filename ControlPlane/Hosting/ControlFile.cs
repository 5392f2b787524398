using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>
/// control-plane.json in the data directory: where the control plane is reached. Written when it is ready; verbs and agents read
/// it, agents again whenever they lose contact.
/// </summary>
public sealed record ControlFile(int Pid, string Http, string Grpc, DateTimeOffset StartedAt)
{
    public const string Name = "control-plane.json";

    /// <summary>Null: there is none, or it cannot be read as one.</summary>
    public static ControlFile? Read(string dataDirectory)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(Path.Combine(dataDirectory, Name)), ControlFileJson.Default.ControlFile);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Written aside and renamed: a reader sees all of it or none.</summary>
    public void Write(string dataDirectory)
    {
        string aside = Path.Combine(dataDirectory, $".{Name}.{Pid}.tmp");
        File.WriteAllBytes(aside, JsonSerializer.SerializeToUtf8Bytes(this, ControlFileJson.Default.ControlFile));
        File.Move(aside, Path.Combine(dataDirectory, Name), overwrite: true);
    }

    public static void Delete(string dataDirectory) => File.Delete(Path.Combine(dataDirectory, Name));

    /// <summary>A control plane that was killed leaves its file behind.</summary>
    public bool ProcessLives()
    {
        try
        {
            using var process = Process.GetProcessById(Pid);
            return !process.HasExited;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(ControlFile))]
internal sealed partial class ControlFileJson : JsonSerializerContext;
