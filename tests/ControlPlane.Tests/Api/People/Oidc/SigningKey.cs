using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace DeepSeekOps.ControlPlane.Tests.Api.People.Oidc;

/// <summary>Signs tokens by hand, so that a test can also make those that no library would.</summary>
/// <param name="Public">As the provider shows it, a JWK.</param>
internal sealed record SigningKey(string Id, string Algorithm, Dictionary<string, string> Public, Func<byte[], byte[]> Signature)
{
    public static SigningKey Rsa(string id)
    {
        var key = RSA.Create(2048);
        var shown = key.ExportParameters(includePrivateParameters: false);
        return new SigningKey(id, "RS256", new Dictionary<string, string>
        {
            ["kty"] = "RSA", ["use"] = "sig", ["kid"] = id, ["n"] = Base64Url.EncodeToString(shown.Modulus),
            ["e"] = Base64Url.EncodeToString(shown.Exponent),
        }, bytes => key.SignData(bytes, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1));
    }

    public static SigningKey Curve(string id)
    {
        var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var shown = key.ExportParameters(includePrivateParameters: false);
        return new SigningKey(id, "ES256", new Dictionary<string, string>
        {
            ["kty"] = "EC", ["use"] = "sig", ["kid"] = id, ["crv"] = "P-256", ["x"] = Base64Url.EncodeToString(shown.Q.X),
            ["y"] = Base64Url.EncodeToString(shown.Q.Y),
        }, bytes => key.SignData(bytes, HashAlgorithmName.SHA256));
    }

    /// <summary>What is public of this one, taken for a secret that both sides have.</summary>
    public SigningKey AsSecret() => this with
    {
        Algorithm = "HS256",
        Signature = bytes => HMACSHA256.HashData(Encoding.ASCII.GetBytes(Public["n"]), bytes),
    };

    public SigningKey AsNone() => this with { Algorithm = "none", Signature = _ => [] };

    public string Sign(Dictionary<string, object> said, string type = "JWT")
    {
        string head = Part(new Dictionary<string, object> { ["alg"] = Algorithm, ["kid"] = Id, ["typ"] = type });
        string signed = $"{head}.{Part(said)}";
        return $"{signed}.{Base64Url.EncodeToString(Signature(Encoding.ASCII.GetBytes(signed)))}";
    }

    private static string Part(Dictionary<string, object> value) => Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes(value));
}
