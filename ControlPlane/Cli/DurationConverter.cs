using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace DeepSeekOps.ControlPlane.Cli;

/// <summary>A duration as protobuf's JSON has it: seconds with three, six or nine decimals where there are any, and an s.</summary>
internal sealed class DurationConverter : JsonConverter<TimeSpan>
{
    public override TimeSpan Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        TimeSpan.FromTicks((long)(decimal.Parse(reader.GetString()!.TrimEnd('s'), CultureInfo.InvariantCulture) * TimeSpan.TicksPerSecond));

    public override void Write(Utf8JsonWriter writer, TimeSpan value, JsonSerializerOptions options)
    {
        decimal seconds = value.Ticks / (decimal)TimeSpan.TicksPerSecond;
        string format = (value.Ticks % 10_000_000, value.Ticks % 10_000, value.Ticks % 10) switch
        {
            (0, _, _) => "0",
            (_, 0, _) => "0.000",
            (_, _, 0) => "0.000000",
            _ => "0.000000000",
        };
        writer.WriteStringValue(seconds.ToString(format, CultureInfo.InvariantCulture) + "s");
    }
}
