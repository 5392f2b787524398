using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>Whom an agent may speak for: one node of one gang of one stage.</summary>
public sealed record AgentClaims(GangId Gang, NodeId Node);

/// <summary>
/// The secret of a data directory and all that opens a door, derived from it (HMAC-SHA256, one label each): nothing has to be stored, and
/// pages and agents that were let in before a restart of the control plane still are after it.
/// </summary>
public sealed class AccessKey
{
    public const int Bytes = 32;

    private const string AgentForm = "agent";
    private readonly byte[] secret;

    public AccessKey(ReadOnlySpan<byte> secret) => this.secret = secret.Length == Bytes
        ? secret.ToArray() : throw new ArgumentException($"A key has {Bytes} bytes, this one {secret.Length}.", nameof(secret));

    /// <summary>For programs: `Authorization: Bearer TOKEN`. Opens everything but the agents' calls.</summary>
    public string PeoplesToken => Derived("people");

    /// <summary>What the printed address carries; it is exchanged for the cookie.</summary>
    public string PageCode => Derived("page");

    public string CookieValue => Derived("cookie");

    /// <summary>
    /// By key, since a browser does not tell ports apart: two control planes of one machine must not take each other's cookie away.
    /// </summary>
    public string CookieName => $"dsops-{Derived("cookie-name")[..8].Replace('-', 'x').Replace('_', 'x')}";

    /// <summary>Tells whether two have the same key, and opens nothing.</summary>
    public string Fingerprint => Derived("fingerprint")[..8];

    /// <summary>What silos of one control plane know each other by; it is never sent.</summary>
    public byte[] SilosSecret => HMACSHA256.HashData(secret, "dsops silos"u8);

    /// <summary>What the certificate of the ports that agents and monitors reach is made of; it is never sent.</summary>
    public byte[] PortsSecret => HMACSHA256.HashData(secret, "dsops ports"u8);

    /// <summary>What lines of the audit log are sealed with: who can write the database alone cannot write them.</summary>
    public byte[] AuditSecret => HMACSHA256.HashData(secret, "dsops audit"u8);

    /// <summary>What a browser carries to an OIDC provider and back is sealed with it; it is never sent.</summary>
    public byte[] SignInSecret => HMACSHA256.HashData(secret, "dsops sign-in"u8);

    /// <summary>agent.CLAIMS.MAC; what it claims can be read by whoever has it, and changed by nobody.</summary>
    public string AgentToken(AgentClaims claims)
    {
        string said = string.Create(CultureInfo.InvariantCulture, $"{claims.Gang.Stage}/{claims.Gang.Number}/{claims.Node.Name}");
        string claimed = Base64Url.EncodeToString(Encoding.UTF8.GetBytes(said));
        return $"{AgentForm}.{claimed}.{Derived($"{AgentForm} {claimed}")}";
    }

    /// <summary>What the ranks of a gang show each other in one attempt; it opens nothing here.</summary>
    public string PeersToken(GangId gang, int attempt) =>
        Derived(string.Create(CultureInfo.InvariantCulture, $"peers {gang.Stage}/{gang.Number}/{attempt}"));

    /// <summary>Null: not a token of an agent, or one that was not made with this key.</summary>
    public AgentClaims? Agent(string token)
    {
        string[] parts = token.Split('.');
        if (parts is not [AgentForm, var claimed, var mac] || !Same(mac, Derived($"{AgentForm} {claimed}")))
        {
            return null;
        }

        // Made by us: what is signed has this form.
        string[] said = Encoding.UTF8.GetString(Base64Url.DecodeFromChars(claimed)).Split('/');
        var gang = new GangId(new StageId(said[0], said[1]), int.Parse(said[2], CultureInfo.InvariantCulture));
        return new AgentClaims(gang, new NodeId(said[3]));
    }

    public bool IsPeoplesToken(string token) => Same(token, PeoplesToken);

    public bool IsPageCode(string code) => Same(code, PageCode);

    public bool IsCookie(string value) => Same(value, CookieValue);

    /// <summary>Of a page that was opened with a token of the list: it names the token, and ends with it.</summary>
    public string CookieOfToken(string id) => $"{id}.{Derived($"cookie of token {id}")}";

    /// <summary>Null: no cookie of a token, or one that was not made with this key.</summary>
    public string? TokenOfCookie(string value) =>
        value.Split('.') is [{ Length: > 0 } id, var mac] && Same(mac, Derived($"cookie of token {id}")) ? id : null;

    /// <summary>In a time that tells nothing of where they differ; the hash makes them equally long.</summary>
    private static bool Same(string given, string right) => CryptographicOperations.FixedTimeEquals(
        SHA256.HashData(Encoding.UTF8.GetBytes(given)), SHA256.HashData(Encoding.UTF8.GetBytes(right)));

    private string Derived(string label) => Base64Url.EncodeToString(HMACSHA256.HashData(secret, Encoding.UTF8.GetBytes($"dsops {label}")));
}
