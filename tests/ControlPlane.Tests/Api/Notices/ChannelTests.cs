using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using DeepSeekOps.ControlPlane.Api.Notices;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Incidents;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api.Notices;

/// <summary>Over loopback, with receivers of its own. Less than a second.</summary>
public sealed class ChannelTests : IDisposable
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);

    private static readonly Notice Asks = new("it broke", [new Noteworthy("incident a/b/1", "NeedsHuman", "a/b/1: <it> & broke",
        "What is to be done?", "/incidents/a/b/1", Noon, true)], false);

    private readonly string folder = Directory.CreateTempSubdirectory().FullName;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task A_webhook_gets_what_Slack_takes_with_question_and_link()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var received = Http(listener, "200 OK");
        using var hook = new Webhook(Secret($"http://127.0.0.1:{Port(listener)}/services/T0/B0/secret"));
        await hook.Send(Asks, "http://ops", Ct);
        using var body = JsonDocument.Parse((await received).Split("\r\n\r\n")[1]);
        Assert.Contains("What is to be done?", body.RootElement.GetProperty("text").GetString(), StringComparison.Ordinal);
        string section = body.RootElement.GetProperty("blocks")[1].GetProperty("text").GetProperty("text").GetString()!;
        Assert.Equal("*a/b/1: &lt;it&gt; &amp; broke*\nWhat is to be done?\n<http://ops/incidents/a/b/1|Open its page>", section);
    }

    [Theory]
    [InlineData("503 Service Unavailable", true)]
    [InlineData("429 Too Many Requests", true)]
    [InlineData("403 Forbidden", false)]
    public async Task A_webhook_that_refuses_is_told_without_its_secret(string answer, bool again)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var received = Http(listener, answer);
        using var hook = new Webhook(Secret($"http://127.0.0.1:{Port(listener)}/services/T0/B0/secret"));
        var failed = await Assert.ThrowsAsync<NoticeException>(() => hook.Send(Asks, "http://ops", Ct));
        await received;
        Assert.Equal((again, $"127.0.0.1 answered {answer[..3]}"), (failed.Again, failed.Message));
        listener.Stop();
        var away = await Assert.ThrowsAsync<NoticeException>(() => hook.Send(Asks, "http://ops", Ct));
        Assert.DoesNotContain("secret", away.ToString(), StringComparison.Ordinal);
        Assert.True(away.Again);
    }

    [Fact]
    public async Task A_mail_server_gets_one_mail_whose_id_is_that_of_its_news()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var sink = Smtp(listener);
        var mail = new Mail(new MailSettings("127.0.0.1", "dsops@example.org", ["ann@example.org", "bob@example.org"])
        {
            Port = Port(listener), Security = MailSecurity.None,
        });
        await mail.Send(Asks, "http://ops", Ct);
        string said = await sink;
        Assert.Contains("RCPT TO:<ann@example.org>", said, StringComparison.Ordinal);
        Assert.Contains("RCPT TO:<bob@example.org>", said, StringComparison.Ordinal);
        Assert.Contains("Subject: [dsops] it broke", said, StringComparison.Ordinal);
        Assert.Contains("http://ops/incidents/a/b/1", said, StringComparison.Ordinal);
        Assert.Contains("@dsops>", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_without_the_safety_that_was_asked_for_gets_no_mail_and_no_password()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var sink = Smtp(listener);
        var mail = new Mail(new MailSettings("127.0.0.1", "dsops@example.org", ["ann@example.org"])
        {
            Port = Port(listener), User = "dsops", PasswordFile = Secret("hunter2"),
        });
        var failed = await Assert.ThrowsAsync<NoticeException>(() => mail.Send(Asks, "http://ops", Ct));
        Assert.False(failed.Again);
        Assert.DoesNotContain("hunter2", failed.Message + await sink, StringComparison.Ordinal);
    }

    private static int Port(TcpListener listener) => ((IPEndPoint)listener.LocalEndpoint).Port;

    private string Secret(string text)
    {
        string file = Path.Combine(folder, "secret");
        File.WriteAllText(file, text);
        return file;
    }

    private static async Task<string> Http(TcpListener listener, string answer)
    {
        using var client = await listener.AcceptTcpClientAsync(Ct);
        var stream = client.GetStream();
        var (text, buffer) = (new StringBuilder(), new byte[65_536]);
        while (!Whole(text.ToString()))
        {
            text.Append(Encoding.UTF8.GetString(buffer, 0, await stream.ReadAsync(buffer, Ct)));
        }

        await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), Ct);
        return text.ToString();
    }

    private static bool Whole(string text)
    {
        string[] parts = text.Split("\r\n\r\n", 2);
        string? length = parts[0].Split("\r\n").FirstOrDefault(l => l.StartsWith("Content-Length: ", StringComparison.OrdinalIgnoreCase));
        return parts.Length == 2 && length is not null
            && Encoding.UTF8.GetByteCount(parts[1]) >= int.Parse(length[16..], System.Globalization.CultureInfo.InvariantCulture);
    }

    /// <summary>Everything that was said to it until the end.</summary>
    private static async Task<string> Smtp(TcpListener listener)
    {
        using var client = await listener.AcceptTcpClientAsync(Ct);
        var stream = client.GetStream();
        using var reader = new StreamReader(stream, Encoding.UTF8);
        await using var writer = new StreamWriter(stream, new UTF8Encoding(false)) { NewLine = "\r\n", AutoFlush = true };
        var (said, data) = (new StringBuilder(), false);
        await writer.WriteLineAsync("220 sink");
        while (await reader.ReadLineAsync(Ct) is { } line)
        {
            said.AppendLine(line);
            data = data ? line != "." : line == "DATA";
            if (!data || line == "DATA")
            {
                await writer.WriteLineAsync(line switch { "DATA" => "354 go on", "QUIT" => "221 bye", _ => "250 ok" });
            }

            if (line == "QUIT")
            {
                break;
            }
        }

        return said.ToString();
    }
}
