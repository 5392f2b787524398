using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using DeepSeekOps.ControlPlane.Client;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;

namespace DeepSeekOps.ControlPlane.Cli;

/// <summary>
/// Messages as scripts want them: every field is there (absent is null), whole numbers are numbers, a loss that is no number is
/// "NaN" or "Infinity" in words, times are ISO 8601, durations are seconds and named so. Protobuf's own JSON omits defaults and quotes
/// 64-bit numbers.
/// </summary>
public static class ProtoJson
{
    private static readonly JsonWriterOptions Indented = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly JsonWriterOptions OneLine = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Line(IMessage message) => Text(OneLine, writer => Write(writer, message));

    public static string Document(IMessage message) => Text(Indented, writer => Write(writer, message));

    public static string Document(IEnumerable<IMessage> messages) => Text(Indented, writer =>
    {
        writer.WriteStartArray();
        foreach (var message in messages)
        {
            Write(writer, message);
        }
        writer.WriteEndArray();
    });

    public static string Document(Action<Utf8JsonWriter> write) => Text(Indented, write);

    private static string Text(JsonWriterOptions options, Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, options))
        {
            write(writer);
        }
        return PlainText.InJson(Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length));
    }

    public static void Write(Utf8JsonWriter writer, IMessage message)
    {
        writer.WriteStartObject();
        foreach (var field in message.Descriptor.Fields.InFieldNumberOrder())
        {
            writer.WritePropertyName(NameOf(field));
            WriteField(writer, field, message);
        }
        writer.WriteEndObject();
    }

    private static string NameOf(FieldDescriptor field) =>
        field.FieldType == FieldType.Message && field.MessageType.ClrType == typeof(Duration) ? field.JsonName + "Seconds" : field.JsonName;

    private static void WriteField(Utf8JsonWriter writer, FieldDescriptor field, IMessage message)
    {
        object? value = field.Accessor.GetValue(message);
        if (field.IsMap)
        {
            writer.WriteStartObject();
            var entries = (System.Collections.IDictionary)value;
            foreach (System.Collections.DictionaryEntry entry in entries)
            {
                writer.WritePropertyName(Convert.ToString(entry.Key, CultureInfo.InvariantCulture) ?? "");
                WriteValue(writer, entry.Value);
            }
            writer.WriteEndObject();
        }
        else if (field.IsRepeated)
        {
            writer.WriteStartArray();
            foreach (object item in (System.Collections.IEnumerable)value)
            {
                WriteValue(writer, item);
            }
            writer.WriteEndArray();
        }
        else if (field.HasPresence && !field.Accessor.HasValue(message))
        {
            writer.WriteNullValue();
        }
        else
        {
            WriteValue(writer, value);
        }
    }

    private static string Name(double number) => double.IsNaN(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity";

    private static void WriteValue(Utf8JsonWriter writer, object? value)
    {
        switch (value)
        {
            case null: writer.WriteNullValue(); break;
            case string text: writer.WriteStringValue(text); break;
            case bool flag: writer.WriteBooleanValue(flag); break;
            case int number: writer.WriteNumberValue(number); break;
            case long number: writer.WriteNumberValue(number); break;
            case double number when double.IsFinite(number): writer.WriteNumberValue(number); break;
            case float number when float.IsFinite(number): writer.WriteNumberValue(number); break;
            // JSON has no such number; null would say that there is no value.
            case double number: writer.WriteStringValue(Name(number)); break;
            case float number: writer.WriteStringValue(Name(number)); break;
            case Timestamp at:
                writer.WriteStringValue(
                at.ToDateTimeOffset().ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture)); break;
            case Duration span: writer.WriteNumberValue(span.ToTimeSpan().TotalSeconds); break;
            case IMessage inner: Write(writer, inner); break;
            case System.Enum name: writer.WriteStringValue(name.ToString()); break;
            default: throw new NotSupportedException($"{value.GetType()} has no JSON form here.");
        }
    }
}
