using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace DeepSeekOps.ControlPlane.Client;

/// <summary>
/// control-plane.json in the data directory: where the control plane is reached, and what opens it. Written when it is ready, for its
/// owner alone; verbs and agents read it, agents again whenever they lose contact.
/// </summary>
public sealed record ControlFile(int Pid, string Http, string Grpc, DateTimeOffset StartedAt)
{
    /// <summary>
    /// For programs: Authorization: Bearer TOKEN. Null where the control plane tells of itself by HTTP, and in files of earlier versions.
    /// </summary>
    public string? Token { get; init; }

    /// <summary>What a browser opens: the dashboard's address with its code.</summary>
    public string? Open { get; init; }

    public const string Name = "control-plane.json";

    /// <summary>The data directory of whoever names none.</summary>
    public const string UsualDirectory = ".dsops";

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

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, ControlFileJson.Default.ControlFile);

    /// <summary>One that stays where it cannot be deleted names a process that is no more, which whoever reads it sees.</summary>
    public static void Delete(string dataDirectory)
    {
        try
        {
            File.Delete(Path.Combine(dataDirectory, Name));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Said of the end of a process, it would hide what ended it.
        }
    }

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

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ControlFile))]
internal sealed partial class ControlFileJson : JsonSerializerContext;
