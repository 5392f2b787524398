using System.Text.Json;
using System.Text.Json.Serialization;
using DeepSeekOps.Decisions.Stages;
using Orleans.Serialization;
using Orleans.Serialization.Cloning;
using Orleans.Serialization.Configuration;
using Orleans.Storage;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>One JSON for grain calls and grain state: Decisions' records know nothing of Orleans.</summary>
public static class GrainJson
{
    public static JsonSerializerOptions Options { get; } = new()
    {
        // A diverged loss is NaN, and must reach people as that.
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new JsonStringEnumConverter() },
    };

    /// <summary>By what would be written: records that hold arrays are not equal by themselves.</summary>
    internal static bool Same<T>(T one, T other) => JsonSerializer.Serialize(one, Options) == JsonSerializer.Serialize(other, Options);

    internal static IServiceCollection AddDecisionRecords(this IServiceCollection services)
    {
        var decisions = typeof(Stage).Assembly;
        // Before JSON's, which would write each record and read it again, between grains of one process too.
        services.AddSingleton<IGeneralizedCopier, SharedRecords>();
        services.AddSerializer(serializer => serializer.AddJsonSerializer(type => type.Assembly == decisions, Options));
        // Without it the records' type names are refused at run time, in calls between grains.
        services.Configure<TypeManifestOptions>(manifest => manifest.AddAllowedAssembly(decisions));
        // Orleans' default writes such records and cannot read them back.
        services.AddSingleton<IGrainStorageSerializer, GrainStateJson>();
        return services;
    }
}

/// <summary>
/// Decisions' records cannot be changed once they are made, so grains of one process hand them on as they are. A gang of 256 nodes has
/// 2,048 ranks in each of its answers, and fifty people look at them.
/// </summary>
internal sealed class SharedRecords : IGeneralizedCopier, IOptionalDeepCopier
{
    public bool IsSupportedType(Type type) => type.Assembly == typeof(Stage).Assembly;

    public bool IsShallowCopyable() => true;

    public object? DeepCopy(object? input, CopyContext context) => input;
}

/// <summary>Grain state as JSON text.</summary>
public sealed class GrainStateJson : IGrainStorageSerializer
{
    public BinaryData Serialize<T>(T? input) => new(JsonSerializer.SerializeToUtf8Bytes(input, GrainJson.Options));

    public T Deserialize<T>(BinaryData input) => JsonSerializer.Deserialize<T>(input.ToMemory().Span, GrainJson.Options)
        ?? throw new JsonException($"The stored state of {typeof(T).Name} is empty.");
}
