using System.Security.Cryptography;
using System.Text;
using DeepSeekOps.Contracts.Worker.V1;
using Google.Protobuf;

namespace DeepSeekOps.Worker.Parallel.Sockets;

/// <summary>
/// How two ranks show each other that they are of one gang: each proves that it knows the gang's token with a number that the other one
/// drew (a challenge answered by HMAC-SHA256, RFC 2104), so that the token is never told, what is overheard cannot be said again, and
/// neither side can be answered with its own words.
/// </summary>
/// <param name="token">The gang's.</param>
/// <param name="hello">What the caller said first; both proofs stand for all of it.</param>
internal sealed class PeerGreeting(string token, PeerHello hello)
{
    private const int NonceBytes = 32;

    public PeerHello Hello => hello;

    public static ByteString Nonce() => ByteString.CopyFrom(RandomNumberGenerator.GetBytes(NonceBytes));

    /// <summary>The answer of the one who was called.</summary>
    public PeerChallenge Challenge(ByteString nonce, int rank) =>
        new() { Nonce = nonce, Rank = rank, Proof = Proof("called", nonce, rank) };

    public bool IsAnsweredBy(PeerChallenge challenge) =>
        challenge.Nonce.Length == NonceBytes && Same(challenge.Proof, Proof("called", challenge.Nonce, challenge.Rank));

    /// <summary>The caller's answer to that.</summary>
    public PeerProof ProofOfCaller(PeerChallenge challenge) => new() { Proof = Proof("caller", challenge.Nonce, challenge.Rank) };

    public bool IsProvenBy(PeerProof told, PeerChallenge challenge) =>
        hello.Nonce.Length == NonceBytes && Same(told.Proof, ProofOfCaller(challenge).Proof);

    private static bool Same(ByteString told, ByteString expected) => CryptographicOperations.FixedTimeEquals(told.Span, expected.Span);

    private ByteString Proof(string side, ByteString nonce, int rank)
    {
        // As messages, so that no part can be taken for the beginning of the next.
        var said = new PeerSaid { Side = side, Hello = hello, Nonce = nonce, Rank = rank };
        return ByteString.CopyFrom(HMACSHA256.HashData(Encoding.UTF8.GetBytes(token), said.ToByteArray()));
    }
}
