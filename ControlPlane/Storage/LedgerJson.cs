using System.Text.Json;
using System.Text.Json.Serialization;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>How records are written into JSON columns and grain states: enums as text, NaN and infinities as names.</summary>
public static class LedgerJson
{
    public static JsonSerializerOptions Options { get; } = new(JsonSerializerDefaults.Web)
    {
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new JsonStringEnumConverter() },
    };

    public static string Write<T>(T value) => JsonSerializer.Serialize(value, Options);

    public static T Read<T>(string text) => JsonSerializer.Deserialize<T>(text, Options)
        ?? throw new JsonException($"a {typeof(T).Name} was expected, null is stored");
}
