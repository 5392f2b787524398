using System.Text.Json;
using System.Text.Json.Serialization;

namespace DeepSeekOps.Decisions;

/// <summary>A stage of a run. Its text, "run/stage", is the key of its grain and the prefix of its files.</summary>
public readonly record struct StageId(string Run, string Stage)
{
    public override string ToString() => $"{Run}/{Stage}";

    /// <summary>As its texts stand in ordinal order; they are made only where one run's name begins with the other's.</summary>
    public int CompareTextTo(StageId other)
    {
        int runs = string.CompareOrdinal(Run, 0, other.Run, 0, Math.Min(Run.Length, other.Run.Length));
        return runs != 0 ? runs
            : Run.Length == other.Run.Length ? string.CompareOrdinal(Stage, other.Stage)
            : string.CompareOrdinal(ToString(), other.ToString());
    }

    public static StageId Parse(string text)
    {
        int slash = text.IndexOf('/', StringComparison.Ordinal);
        return slash > 0 ? new StageId(text[..slash], text[(slash + 1)..]) : throw new FormatException($"'{text}' is not run/stage.");
    }
}

/// <summary>A machine with GPUs ("slots"), by the cluster's own name for it.</summary>
[JsonConverter(typeof(NodeIdJson))]
public readonly record struct NodeId(string Name)
{
    public override string ToString() => Name;
}

/// <summary>A node is its name in JSON, so that it can be a key there.</summary>
public sealed class NodeIdJson : JsonConverter<NodeId>
{
    public override NodeId Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        new(reader.GetString() ?? "");

    public override void Write(Utf8JsonWriter writer, NodeId value, JsonSerializerOptions options) => writer.WriteStringValue(value.Name);

    public override NodeId ReadAsPropertyName(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        new(reader.GetString() ?? "");

    public override void WriteAsPropertyName(Utf8JsonWriter writer, NodeId value, JsonSerializerOptions options) =>
        writer.WritePropertyName(value.Name);
}
