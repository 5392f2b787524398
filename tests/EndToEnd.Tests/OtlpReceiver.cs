using System.Collections.Concurrent;
using System.Net;
using DeepSeekOps.ControlPlane.Hosting;
using Google.Protobuf;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>A collector on loopback that takes OTLP by HTTP and protobuf, and keeps what a person would look for.</summary>
internal sealed class OtlpReceiver : IDisposable
{
    private readonly HttpListener listener = new();

    public OtlpReceiver()
    {
        Address = $"http://127.0.0.1:{LoopbackPort.Free()}";
        listener.Prefixes.Add($"{Address}/");
        listener.Start();
        _ = Listen();
    }

    public string Address { get; }

    public ConcurrentQueue<Span> Spans { get; } = [];

    public ConcurrentQueue<Log> Logs { get; } = [];

    /// <summary>All that came, as it was: texts of a protobuf message stand in it as they are.</summary>
    public ConcurrentQueue<byte[]> Bodies { get; } = [];

    public void Dispose() => listener.Close();

    private async Task Listen()
    {
        while (listener.IsListening)
        {
            try
            {
                var context = await listener.GetContextAsync();
                using var body = new MemoryStream();
                await context.Request.InputStream.CopyToAsync(body);
                Bodies.Enqueue(body.ToArray());
                Take(context.Request.Url?.AbsolutePath ?? "", Message.Of(body.ToArray()));
                context.Response.Close();
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    /// <summary>Numbers of fields: opentelemetry-proto, collector, trace and logs v1.</summary>
    private void Take(string path, Message request)
    {
        foreach (var of in request.Messages(1))
        {
            string service = Attributes(of.Messages(1).Single()).GetValueOrDefault("service.name", "");
            foreach (var one in of.Messages(2).SelectMany(scope => scope.Messages(2)))
            {
                if (path == "/v1/traces")
                {
                    Spans.Enqueue(new Span(service, one.Hex(1), one.Hex(2), one.Hex(4), one.Text(5), one.Time(7), one.Time(8),
                        Attributes(one, 9)));
                }
                else if (path == "/v1/logs")
                {
                    Logs.Enqueue(new Log(service, one.Hex(9), one.Hex(10), one.Messages(5).Single().Text(1)));
                }
            }
        }
    }

    private static Dictionary<string, string> Attributes(Message of, int field = 1) => of.Messages(field)
        .ToDictionary(pair => pair.Text(1), pair => pair.Messages(2).Select(v => v.Text(1) is { Length: > 0 } text ? text
            : v.Number(3).ToString(System.Globalization.CultureInfo.InvariantCulture)).SingleOrDefault(""));

    public sealed record Span(
        string Service, string Trace, string Id, string Parent, string Name, DateTimeOffset Began, DateTimeOffset Ended,
        Dictionary<string, string> Attributes);

    /// <param name="Trace">That it was said in; empty: in none.</param>
    public sealed record Log(string Service, string Trace, string Span, string Text);

    /// <summary>A protobuf message of which only the numbers of fields are known.</summary>
    private sealed class Message
    {
        private readonly List<(int Field, byte[] Bytes, ulong Number)> fields = [];

        public static Message Of(byte[] bytes)
        {
            var message = new Message();
            var input = new CodedInputStream(bytes);
            while (input.ReadTag() is > 0 and var tag)
            {
                int field = WireFormat.GetTagFieldNumber(tag);
                message.fields.Add(WireFormat.GetTagWireType(tag) switch
                {
                    WireFormat.WireType.LengthDelimited => (field, input.ReadBytes().ToByteArray(), 0),
                    WireFormat.WireType.Fixed64 => (field, [], input.ReadFixed64()),
                    WireFormat.WireType.Fixed32 => (field, [], input.ReadFixed32()),
                    _ => (field, [], input.ReadUInt64()),
                });
            }

            return message;
        }

        public IEnumerable<Message> Messages(int field) => fields.Where(f => f.Field == field).Select(f => Of(f.Bytes));

        public string Text(int field) => System.Text.Encoding.UTF8.GetString(Bytes(field));

        public string Hex(int field) => Convert.ToHexStringLower(Bytes(field));

        public ulong Number(int field) => fields.FirstOrDefault(f => f.Field == field).Number;

        public DateTimeOffset Time(int field) => DateTimeOffset.UnixEpoch.AddTicks((long)(Number(field) / 100));

        private byte[] Bytes(int field) => fields.FirstOrDefault(f => f.Field == field).Bytes ?? [];
    }
}
