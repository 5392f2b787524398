using System.Net;
using System.Security.Cryptography;
using System.Text;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Incidents;
using MailKit.Net.Smtp;
using MailKit.Security;
using MimeKit;

namespace DeepSeekOps.ControlPlane.Api.Notices;

/// <summary>A way to people.</summary>
internal interface INoticeChannel
{
    string Name { get; }

    /// <exception cref="NoticeException">It was not delivered, with a reason that holds no secret.</exception>
    Task Send(Notice notice, string address, CancellationToken cancellation);
}

/// <param name="again">Another try may help.</param>
internal sealed class NoticeException(string why, bool again) : Exception(why)
{
    public bool Again { get; } = again;
}

/// <summary>
/// Posts what Slack, and what speaks like it, takes. The address is a secret: it is read from its file for each message, and no sentence
/// holds more of it than its host.
/// </summary>
internal sealed class Webhook(string file, HttpMessageHandler? handler = null) : INoticeChannel, IDisposable
{
    private readonly HttpClient http = new(handler ?? new SocketsHttpHandler { AllowAutoRedirect = false })
    {
        Timeout = TimeSpan.FromSeconds(15),
    };

    public string Name => "webhook";

    public async Task Send(Notice notice, string address, CancellationToken cancellation)
    {
        string text = (await SecretFile.Read(file, "notifications.webhookFile", cancellation)).Trim();
        if (!Uri.TryCreate(text, UriKind.Absolute, out var to) || to.Scheme is not ("https" or "http"))
        {
            throw new NoticeException($"notifications.webhookFile {file} holds no address; write one line beginning with https://", false);
        }

        using var body = new StringContent(NoticeText.Slack(notice, address), Encoding.UTF8, "application/json");
        HttpResponseMessage answer;
        try
        {
            answer = await http.PostAsync(to, body, cancellation);
        }
        catch (HttpRequestException failed)
        {
            throw new NoticeException($"{to.Host} cannot be reached: {failed.HttpRequestError}", true);
        }
        catch (TaskCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new NoticeException($"{to.Host} gave no answer in 15 s", true);
        }

        using (answer)
        {
            if (!answer.IsSuccessStatusCode)
            {
                bool again = answer.StatusCode is HttpStatusCode.TooManyRequests or HttpStatusCode.RequestTimeout
                    || (int)answer.StatusCode >= 500;
                throw new NoticeException($"{to.Host} answered {(int)answer.StatusCode}", again);
            }
        }
    }

    public void Dispose() => http.Dispose();
}

internal sealed class Mail(MailSettings settings) : INoticeChannel
{
    public string Name => "mail";

    public async Task Send(Notice notice, string address, CancellationToken cancellation)
    {
        string password = settings.PasswordFile.Length == 0 ? ""
            : (await SecretFile.Read(settings.PasswordFile, "notifications.mail.passwordFile", cancellation)).TrimEnd('\r', '\n');
        using var message = Message(notice, address);
        using var client = new SmtpClient { Timeout = 15_000 };
        try
        {
            await client.ConnectAsync(settings.Server, settings.Port, settings.Security switch
            {
                MailSecurity.Tls => SecureSocketOptions.SslOnConnect,
                MailSecurity.None => SecureSocketOptions.None,
                _ => SecureSocketOptions.StartTls,
            }, cancellation);
            if (settings.User.Length > 0)
            {
                await client.AuthenticateAsync(settings.User, password, cancellation);
            }

            await client.SendAsync(message, cancellation);
            await client.DisconnectAsync(quit: true, cancellation);
        }
        catch (Exception failed) when (failed is not OperationCanceledException || !cancellation.IsCancellationRequested)
        {
            bool again = failed is not (AuthenticationException or NotSupportedException)
                and not SmtpCommandException { StatusCode: >= SmtpStatusCode.MailboxUnavailable };
            throw new NoticeException($"{settings.Server}:{settings.Port} did not take it: {Plain(failed)}", again);
        }
    }

    /// <summary>The same news has the same id, and all news of one thing are one conversation.</summary>
    private MimeMessage Message(Notice notice, string address)
    {
        var message = new MimeMessage
        {
            Subject = NoticeText.Subject(notice), MessageId = $"{Hash(notice.Id)}@dsops",
            Body = new TextPart("plain") { Text = NoticeText.Plain(notice, address) },
        };
        message.From.Add(MailboxAddress.Parse(settings.From));
        message.To.AddRange(settings.To.Select(MailboxAddress.Parse));
        if (notice.Of.Length == 1)
        {
            message.References.Add($"{Hash(notice.Of[0].Key)}@dsops");
        }

        return message;
    }

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 16));

    private static string Plain(Exception failed) => failed.Message.Split('\n')[0].Trim();
}

internal static class SecretFile
{
    private const int BytesMax = 8_192;

    public static async Task<string> Read(string file, string field, CancellationToken cancellation)
    {
        try
        {
            return await FileLooks.ReadText(file, BytesMax, cancellation);
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException or DeepSeekOps.Recipes.BadInputException)
        {
            throw new NoticeException($"{field} {file} cannot be read: {failed.Message}", false);
        }
    }
}
